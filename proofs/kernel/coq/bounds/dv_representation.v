(** The Donsker-Varadhan bound and its exact gap, on any finite set. *)
From MI Require Import lemmas.

(** (a) KL(P|Q) - DV(T) = KL(P|Q_T) >= 0, with equality iff Q_T = P, that is iff T = ln dP/dQ + c on the support of Q;
    then P has mass wherever Q has. *)
Theorem dv_representation_a : forall (X : Type) (l : list X) (p q T : X -> R),
  law l p -> law l q -> ac l p q ->
  kl l p q - dv l p q T = kl l p (tilt l q T)
  /\ 0 <= kl l p (tilt l q T)
  /\ (kl l p (tilt l q T) = 0 <-> same l p (tilt l q T))
  /\ (same l p (tilt l q T) <->
      exists c, forall x, In x l -> 0 < q x -> 0 < p x /\ T x = ln (p x / q x) + c).
Proof.
  intros X l p q T Lp Lq A.
  pose proof (law_tilt l q T Lq) as Lt. pose proof (ac_tilt l p q T Lq A) as At.
  pose proof (mgf_pos l q T Lq) as HZ.
  split; [now apply dv_gap|]. split; [now apply kl_nonneg|]. split; [now apply kl_zero|].
  split.
  - intros S. exists (ln (mgf l q T)). intros x Hx Hq. rewrite (S x Hx). unfold tilt.
    pose proof (exp_pos (T x)). split.
    + apply Rdiv_pos; auto. now apply Rmult_lt_0_compat.
    + replace (exp (T x) * q x / mgf l q T / q x) with (exp (T x) / mgf l q T) by (field; lra).
      rewrite ln_div, ln_exp; auto. ring.
  - intros [c H].
    assert (HM : mgf l q T = exp c).
    { unfold mgf, E. destruct Lp as [Np Sp]. rewrite <- (Rmult_1_r (exp c)), <- Sp, <- sum_scal.
      apply sum_ext. intros x Hx. destruct Lq as [Nq _]. destruct (Nq x Hx) as [Hq|Hq].
      - destruct (H x Hx Hq) as [Hp ->]. rewrite exp_plus, exp_ln by now apply Rdiv_pos. field. lra.
      - rewrite <- Hq, (A x Hx); auto; lra. }
    intros x Hx. unfold tilt. rewrite HM. destruct Lq as [Nq _]. destruct (Nq x Hx) as [Hq|Hq].
    + destruct (H x Hx Hq) as [Hp ->]. pose proof (exp_pos c).
      rewrite exp_plus, exp_ln by now apply Rdiv_pos. field. lra.
    + rewrite <- Hq, (A x Hx); auto. lra.
Qed.

(** (b) KL is the supremum of DV over real critics, atoms without P-mass or not. *)
Theorem dv_representation_b : forall (X : Type) (l : list X) (p q : X -> R),
  law l p -> law l q -> ac l p q -> is_lub (fun v => exists T, v = dv l p q T) (kl l p q).
Proof.
  intros X l p q Lp Lq A. split.
  - intros v [T ->]. now apply dv_le_kl.
  - intros b Hb. destruct (Rle_lt_dec (kl l p q) b) as [|C]; auto. exfalso.
    destruct (exp_small (kl l p q - b) ltac:(lra)) as [k [_ Hk]].
    set (T := fun x => if Rlt_dec 0 (p x) then ln (p x / q x) else - k).
    specialize (Hb (dv l p q T) (ex_intro _ T eq_refl)).
    assert (E1 : E l p T = kl l p q).
    { apply sum_ext. intros x Hx. unfold T. destruct (Rlt_dec 0 (p x)); auto.
      destruct (ac_cases l p q x Lp Lq A Hx) as [->|[Hp _]]; [lra|contradiction]. }
    assert (M1 : mgf l q T <= 1 + exp (- k)).
    { replace 1 with (sum l p) by now destruct Lp. rewrite <- (Rmult_1_r (exp (- k))).
      replace 1 with (sum l q) by now destruct Lq. rewrite <- sum_scal, <- sum_plus.
      apply sum_le. intros x Hx. unfold T. destruct Lq as [Nq Sq]. pose proof (Nq x Hx).
      pose proof (exp_pos (- k)).
      destruct (Rlt_dec 0 (p x)) as [Hp|Hp].
      - destruct (ac_cases l p q x Lp (conj Nq Sq) A Hx) as [C0|[_ Hq]]; [lra|].
        rewrite exp_ln by now apply Rdiv_pos. replace (q x * (p x / q x)) with (p x) by (field; lra).
        nra.
      - destruct Lp as [Np _]. pose proof (Np x Hx). nra. }
    unfold dv in Hb. rewrite E1 in Hb. pose proof (mgf_pos l q T Lq) as MP.
    pose proof (ln_le_sub _ MP). lra.
Qed.

(** (c) A constant in the critic cancels. *)
Theorem dv_representation_c : forall (X : Type) (l : list X) (p q T : X -> R) (c : R),
  law l p -> law l q -> dv l p q (fun x => T x + c) = dv l p q T.
Proof.
  intros X l p q T c Lp Lq. pose proof (mgf_pos l q T Lq). pose proof (exp_pos c).
  unfold dv. rewrite E_shift, mgf_shift, ln_mult, ln_exp; auto. ring.
Qed.
