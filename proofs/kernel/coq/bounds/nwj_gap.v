(** The exact gap of the Nguyen-Wainwright-Jordan bound, on any finite set. *)
From MI Require Import lemmas.

(** One atom of the gap: r ln(r/s) - r + s per unit of Q-mass. *)
Lemma gap_atom a b s : 0 <= a -> 0 < b -> 0 < s ->
  b * (a / b * ln (a / b / s) - a / b + s) = a * ln (a / (b * s)) - a + b * s.
Proof.
  intros Ha Hb Hs. replace (a / b / s) with (a / (b * s)) by (field; lra). field. lra.
Qed.

Lemma nwj_gap_identity : forall (X : Type) (l : list X) (p q T : X -> R),
  law l p -> law l q -> ac l p q ->
  kl l p q - nwj l p q T
    = E l q (fun x => p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x)).
Proof.
  intros X l p q T Lp Lq A. unfold nwj, kl, mgf, E. destruct Lp as [Np Sp].
  replace 1 with (sum l p). rewrite <- sum_plus, <- !sum_minus. apply sum_ext. intros x Hx.
  pose proof (exp_pos (T x)). destruct Lq as [Nq Sq].
  destruct (ac_cases l p q x (conj Np Sp) (conj Nq Sq) A Hx) as [->|[Hp Hq]].
  - unfold Rdiv. rewrite !Rmult_0_l. ring.
  - rewrite gap_atom by lra. assert (0 < q x * exp (T x)) by now apply Rmult_lt_0_compat.
    rewrite !ln_div, ln_mult, ln_exp; auto. ring.
Qed.

(** (a) KL - NWJ(T) = E_Q[r ln(r/s) - r + s] with r = dP/dQ and s = e^T; each bracket is >= 0, and the gap is 0 iff
    T = ln r on the support of Q, where P then has mass. KL is the supremum over real critics in every case. *)
Theorem nwj_gap_a : forall (X : Type) (l : list X) (p q : X -> R),
  law l p -> law l q -> ac l p q ->
  (forall T, kl l p q - nwj l p q T
     = E l q (fun x => p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x)))
  /\ (forall T x, In x l -> 0 < q x ->
        0 <= p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x))
  /\ (forall T x, p x = 0 -> p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x) = exp (T x))
  /\ (forall T, kl l p q - nwj l p q T = 0 <->
        forall x, In x l -> 0 < q x -> 0 < p x /\ T x = ln (p x / q x))
  /\ is_lub (fun v => exists T, v = nwj l p q T) (kl l p q).
Proof.
  intros X l p q Lp Lq A.
  assert (B : forall T x, In x l -> 0 < q x ->
        0 <= p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x)).
  { intros T x Hx Hq. pose proof (exp_pos (T x)). destruct Lp as [Np _]. pose proof (Np x Hx).
    assert (0 <= p x / q x) by (apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]).
    pose proof (gibbs_atom (p x / q x) (exp (T x)) H1 ltac:(lra) ltac:(lra)). lra. }
  split; [intros T; now apply nwj_gap_identity|]. split; [exact B|].
  split; [intros T x ->; unfold Rdiv; rewrite !Rmult_0_l; ring|].
  split.
  - intros T. rewrite nwj_gap_identity; auto. split.
    + intros S x Hx Hq. unfold E in S.
      assert (Q0 : q x * (p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x)) = 0).
      { apply (sum_nonneg_0 l (fun x => q x * (p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x)))); auto.
        intros y Hy. destruct Lq as [Nq _]. destruct (Nq y Hy) as [H|H].
        - apply Rmult_le_pos; [lra|]. now apply B.
        - rewrite <- H. lra. }
      apply Rmult_integral in Q0. destruct Q0 as [Q0|Q0]; [lra|].
      pose proof (exp_pos (T x)). destruct Lp as [Np _]. pose proof (Np x Hx).
      assert (H1 : 0 <= p x / q x) by (apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]).
      assert (Eq : p x / q x = exp (T x)) by (apply gibbs_atom_eq; lra).
      rewrite Eq, ln_exp. split; auto.
      assert (p x = exp (T x) * q x) by (rewrite <- Eq; field; lra). rewrite H2.
      now apply Rmult_lt_0_compat.
    + intros H. rewrite <- (sum_0 l). apply sum_ext. intros x Hx. destruct Lq as [Nq _].
      destruct (Nq x Hx) as [Hq|Hq]; [|rewrite <- Hq; lra].
      destruct (H x Hx Hq) as [Hp ->]. pose proof (Rdiv_pos _ _ Hp Hq).
      rewrite exp_ln; auto. unfold Rdiv at 2. rewrite Rinv_r, ln_1; lra.
  - split.
    + intros v [T ->]. pose proof (dv_le_kl l p q T Lp Lq A). pose proof (dv_nwj l p q T).
      pose proof (shift_gap_nonneg (mgf l q T) (mgf_pos l q T Lq)). lra.
    + intros b Hb. destruct (Rle_lt_dec (kl l p q) b) as [|C]; auto. exfalso.
      destruct (exp_small (kl l p q - b) ltac:(lra)) as [k [_ Hk]].
      set (T := fun x => if Rlt_dec 0 (p x) then ln (p x / q x) else - k).
      specialize (Hb (nwj l p q T) (ex_intro _ T eq_refl)).
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
      unfold nwj in Hb. lra.
Qed.

(** (b) The gap is KL(P|Q_T) + Z - 1 - ln Z, Z = E_Q e^T. *)
Theorem nwj_gap_b : forall (X : Type) (l : list X) (p q T : X -> R),
  law l p -> law l q -> ac l p q ->
  kl l p q - nwj l p q T = kl l p (tilt l q T) + (mgf l q T - 1 - ln (mgf l q T))
  /\ 0 <= kl l p (tilt l q T) /\ 0 <= mgf l q T - 1 - ln (mgf l q T).
Proof.
  intros X l p q T Lp Lq A. pose proof (dv_gap l p q T Lp Lq A). pose proof (dv_nwj l p q T).
  split; [lra|]. split.
  - apply kl_nonneg; auto using law_tilt, ac_tilt.
  - apply shift_gap_nonneg. now apply mgf_pos.
Qed.

(** (c) On samples it has no bias: positives and negatives are random atoms on a finite probability space, each with
    its law, dependent in any way. *)
Theorem nwj_gap_c : forall (X O : Type) (l : list X) (p q T : X -> R) (space : list O) (w : O -> R)
    (positives negatives : list (O -> X)),
  law space w -> positives <> [] -> negatives <> [] ->
  (forall x, In x positives -> forall f, E space w (fun o => f (x o)) = E l p f) ->
  (forall y, In y negatives -> forall f, E space w (fun o => f (y o)) = E l q f) ->
  E space w (fun o => 1 + mean positives (fun x => T (x o)) - mean negatives (fun y => exp (T (y o))))
    = nwj l p q T.
Proof.
  intros X O l p q T space w xs ys Lw Nx Ny Hx Hy.
  assert (M : forall (zs : list (O -> X)) r f, zs <> [] ->
      (forall z, In z zs -> forall g, E space w (fun o => g (z o)) = E l r g) ->
      E space w (fun o => mean zs (fun z => f (z o))) = E l r f).
  { intros zs r f N H. unfold mean, E.
    rewrite (sum_ext space _ (fun o => sum zs (fun z => w o * f (z o)) / INR (length zs))).
    2: { intros o _. rewrite sum_scal. unfold Rdiv. ring. }
    rewrite sum_div, sum_swap, (sum_ext zs _ (fun _ => E l r f)).
    2: { intros z Hz. apply (H z Hz f). }
    rewrite sum_const. unfold E. field. intros C. apply N. apply length_zero_iff_nil.
    now apply INR_eq. }
  rewrite E_minus, E_plus, E_const, (M xs p T), (M ys q (fun x => exp (T x))); auto.
Qed.
