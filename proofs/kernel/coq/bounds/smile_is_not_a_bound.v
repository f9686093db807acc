(** SMILE exceeds the information for every finite clip, even at the right critic; unclipped it is DV. *)
From MI Require Import lemmas.

Definition clip (tau x : R) : R := Rmin (Rmax x (exp (- tau))) (exp tau).
Definition clipped {X} (l : list X) (q T : X -> R) (tau : R) : R := E l q (fun x => clip tau (exp (T x))).
Definition smile {X} (l : list X) (p q T : X -> R) (tau : R) : R := E l p T - ln (clipped l q T tau).

Lemma ends tau : 0 < tau -> exp (- tau) < 1 < exp tau.
Proof. intros H. rewrite <- exp_0. split; apply exp_increasing; lra. Qed.

Lemma clip_bounds tau x : 0 < tau -> exp (- tau) <= clip tau x <= exp tau.
Proof.
  intros H. pose proof (ends tau H). unfold clip. split; [apply Rmin_glb; [apply Rmax_r|lra]|apply Rmin_r].
Qed.

Lemma clip_inside tau x : exp (- tau) <= x <= exp tau -> clip tau x = x.
Proof. intros H. unfold clip. rewrite Rmax_left, Rmin_left; lra. Qed.

Lemma clip_above tau x : 0 < tau -> exp tau <= x -> clip tau x = exp tau.
Proof. intros Ht H. pose proof (ends tau Ht). unfold clip. rewrite Rmax_left, Rmin_right; lra. Qed.

Lemma clip_below tau x : 0 < tau -> x <= exp (- tau) -> clip tau x = exp (- tau).
Proof. intros Ht H. pose proof (ends tau Ht). unfold clip. rewrite Rmax_right, Rmin_left; lra. Qed.

Lemma exp_le a b : a <= b -> exp a <= exp b.
Proof. intros [H| ->]; [left; now apply exp_increasing|lra]. Qed.

Lemma clipped_pos {X} (l : list X) q T tau : law l q -> 0 < tau -> 0 < clipped l q T tau.
Proof.
  intros L H. pose proof (exp_pos (- tau)). unfold clipped.
  assert (exp (- tau) <= E l q (fun x => clip tau (exp (T x)))); [|lra].
  rewrite <- (E_const l q (exp (- tau)) L). apply E_le; auto. intros. now apply clip_bounds.
Qed.

Lemma clipped_same {X} (l : list X) q T tau : law l q ->
  (forall x, In x l -> 0 < q x -> - tau <= T x <= tau) -> clipped l q T tau = mgf l q T.
Proof.
  intros [N _] H. apply sum_ext. intros x Hx. destruct (N x Hx) as [Hq|Hq]; [|rewrite <- Hq; ring].
  rewrite clip_inside; auto. specialize (H x Hx Hq). split; apply exp_le; lra.
Qed.

(** (a) SMILE - DV = ln(Z/Z_tau); equal where |T| <= tau on the support of Q, so for all large tau. *)
Theorem smile_is_not_a_bound_a : forall (X : Type) (l : list X) (p q T : X -> R),
  law l p -> law l q ->
  (forall tau, 0 < tau -> smile l p q T tau - dv l p q T = ln (mgf l q T / clipped l q T tau))
  /\ (forall tau, 0 < tau -> (forall x, In x l -> 0 < q x -> - tau <= T x <= tau) -> smile l p q T tau = dv l p q T)
  /\ (exists t0, forall tau, t0 <= tau -> 0 < tau /\ smile l p q T tau = dv l p q T).
Proof.
  intros X l p q T Lp Lq.
  assert (B : forall tau, (forall x, In x l -> 0 < q x -> - tau <= T x <= tau) -> smile l p q T tau = dv l p q T).
  { intros tau H. unfold smile, dv. now rewrite clipped_same. }
  split; [|split].
  - intros tau H. unfold smile, dv. rewrite ln_div by (auto using mgf_pos, clipped_pos). ring.
  - intros tau _ H. now apply B.
  - exists (1 + sum l (fun x => Rabs (T x))). intros tau H.
    assert (N : 0 <= sum l (fun x => Rabs (T x))) by (apply sum_nonneg; intros; apply Rabs_pos).
    split; [lra|]. apply B. intros x Hx _.
    pose proof (sum_ge_term l (fun x => Rabs (T x)) x (fun y _ => Rabs_pos _) Hx) as G. cbv beta in G.
    apply Rabs_le_between. lra.
Qed.

(** (b) If T <= tau on the support of Q, SMILE <= DV <= KL. *)
Theorem smile_is_not_a_bound_b : forall (X : Type) (l : list X) (p q T : X -> R) (tau : R),
  law l p -> law l q -> ac l p q -> 0 < tau -> (forall x, In x l -> 0 < q x -> T x <= tau) ->
  smile l p q T tau <= dv l p q T <= kl l p q.
Proof.
  intros X l p q T tau Lp Lq A Ht H. split; [|now apply dv_le_kl]. unfold smile, dv.
  assert (mgf l q T <= clipped l q T tau).
  { apply E_le; auto. intros x Hx Hq. specialize (H x Hx Hq). unfold clip.
    apply Rmin_glb; [apply Rmax_l|now apply exp_le]. }
  assert (ln (mgf l q T) <= ln (clipped l q T tau)) by (apply ln_le_iff; auto using mgf_pos, clipped_pos). lra.
Qed.

(** (c) P = Q and the constant critic tau + n: the value is n, the information 0. *)
Theorem smile_is_not_a_bound_c : forall (X : Type) (l : list X) (p : X -> R) (tau n : R),
  law l p -> 0 < tau -> 0 < n -> smile l p p (fun _ => tau + n) tau = n /\ kl l p p = 0.
Proof.
  intros X l p tau n L Ht Hn. split; [|apply kl_refl]. unfold smile, clipped.
  rewrite !E_const by auto. rewrite clip_above, ln_exp; auto; [ring|]. apply exp_le. lra.
Qed.

(** The diagonal: y = x, uniform on N values; off it any critic at or below -tau. *)
Definition cells (N : nat) : list (nat * nat) := list_prod (seq 0 N) (seq 0 N).
Definition diagonal (N : nat) (c : nat * nat) : R := if Nat.eq_dec (fst c) (snd c) then / INR N else 0.
Definition uniform2 (N : nat) (c : nat * nat) : R := / INR N * / INR N.

Lemma sum_diagonal N (a b : R) i : In i (seq 0 N) ->
  sum (seq 0 N) (fun j => if Nat.eq_dec i j then a else b) = a + (INR N - 1) * b.
Proof.
  intros Hi. assert (H : forall l, NoDup l -> In i l -> sum l (fun j => if Nat.eq_dec i j then a else b) = a + (INR (length l) - 1) * b).
  { induction l as [|k l IH]; intros ND H; [easy|]. inversion ND as [|? ? Nk Nl]; subst. cbn [sum length]. rewrite S_INR.
    destruct H as [->|H].
    - destruct (Nat.eq_dec i i) as [_|C]; [|now contradict C].
      rewrite (sum_ext l _ (fun _ => b)), sum_const; [ring|]. intros j Hj. destruct (Nat.eq_dec i j) as [->|]; [contradiction|reflexivity].
    - destruct (Nat.eq_dec i k) as [->|_]; [contradiction|]. rewrite IH by auto. ring. }
  rewrite (H _ (seq_NoDup N 0) Hi), seq_length. reflexivity.
Qed.

Lemma E_diagonal N f : (0 < N)%nat ->
  E (cells N) (diagonal N) f = / INR N * sum (seq 0 N) (fun i => f (i, i)).
Proof.
  intros HN. unfold E, cells. rewrite sum_list_prod, <- sum_scal. apply sum_ext. intros i Hi.
  transitivity (sum (seq 0 N) (fun j => if Nat.eq_dec i j then / INR N * f (i, i) else 0)).
  - apply sum_ext. intros j _. unfold diagonal. simpl. destruct (Nat.eq_dec i j) as [->|]; ring.
  - rewrite sum_diagonal by auto. ring.
Qed.

(** (d) On the diagonal law, N >= e^tau values, with T = ln N on the diagonal and T <= -tau off it (where ln r is -infinity):
    I = ln N, SMILE - I = -ln(e^tau/N + (1 - 1/N) e^{-tau}), positive iff N > 1 + e^tau, and it tends to tau with N. *)
Theorem smile_is_not_a_bound_d : forall (tau : R), 0 < tau ->
  let excess := fun N => - ln (exp tau / INR N + (1 - / INR N) * exp (- tau)) in
  (forall (N : nat) (T : nat * nat -> R), exp tau <= INR N ->
     (forall i, T (i, i) = ln (INR N)) -> (forall i j, i <> j -> T (i, j) <= - tau) ->
     law (cells N) (diagonal N) /\ law (cells N) (uniform2 N)
     /\ kl (cells N) (diagonal N) (uniform2 N) = ln (INR N)
     /\ smile (cells N) (diagonal N) (uniform2 N) T tau - ln (INR N) = excess N
     /\ (0 < excess N <-> 1 + exp tau < INR N))
  /\ (forall e, 0 < e -> exists N0, forall N, (N0 <= N)%nat -> tau - e < excess N < tau + e).
Proof.
  intros tau Ht excess. pose proof (ends tau Ht) as [E0 E1]. pose proof (exp_pos (- tau)) as Pm. split.
  - intros N T HN Hd Ho. assert (PN : 1 < INR N) by lra. assert (PN0 : 0 < INR N) by lra.
    assert (N0 : (0 < N)%nat) by (apply INR_lt; simpl; lra).
    assert (Len : sum (seq 0 N) (fun _ => 1) = INR N) by (rewrite sum_const, seq_length; ring).
    assert (Ld : law (cells N) (diagonal N)).
    { split.
      - intros c _. unfold diagonal. destruct (Nat.eq_dec _ _); [left; now apply Rinv_0_lt_compat|lra].
      - transitivity (E (cells N) (diagonal N) (fun _ => 1)); [apply sum_ext; intros; ring|].
        rewrite E_diagonal, Len by auto. field. lra. }
    assert (Lu : law (cells N) (uniform2 N)).
    { split.
      - intros c _. pose proof (Rinv_0_lt_compat _ PN0). unfold uniform2. nra.
      - unfold cells. rewrite sum_list_prod. unfold uniform2. rewrite !sum_const, !seq_length. field. lra. }
    split; [auto|]. split; [auto|]. split; [|split].
    + transitivity (E (cells N) (diagonal N) (fun c => ln (diagonal N c / uniform2 N c))); [reflexivity|].
      rewrite E_diagonal by auto. rewrite (sum_ext _ _ (fun _ => ln (INR N))).
      * rewrite sum_const, seq_length. field. lra.
      * intros i _. f_equal. unfold diagonal, uniform2. simpl. destruct (Nat.eq_dec i i) as [_|C]; [|now contradict C]. field. lra.
    + unfold smile. rewrite E_diagonal by auto.
      rewrite (sum_ext _ (fun i => T (i, i)) (fun _ => ln (INR N))) by (intros; apply Hd).
      rewrite sum_const, seq_length.
      assert (C : clipped (cells N) (uniform2 N) T tau = exp tau / INR N + (1 - / INR N) * exp (- tau)).
      { unfold clipped, E, cells. rewrite sum_list_prod.
        rewrite (sum_ext _ _ (fun _ => / INR N * / INR N * (exp tau + (INR N - 1) * exp (- tau)))).
        - rewrite sum_const, seq_length. field. lra.
        - intros i Hi. rewrite <- (sum_diagonal N (exp tau) (exp (- tau)) i Hi), <- sum_scal. apply sum_ext. intros j _.
          unfold uniform2. f_equal. destruct (Nat.eq_dec i j) as [<-|D].
          + rewrite Hd, exp_ln by lra. apply clip_above; lra.
          + apply clip_below; auto. apply exp_le. now apply Ho. }
      rewrite C. unfold excess. field. lra.
    + unfold excess.
      assert (P : 0 < exp tau / INR N + (1 - / INR N) * exp (- tau)).
      { assert (/ INR N < 1) by (rewrite <- Rinv_1; apply Rinv_lt_contravar; lra).
        pose proof (Rdiv_pos _ _ (exp_pos tau) PN0). nra. }
      assert (D : 1 - (exp tau / INR N + (1 - / INR N) * exp (- tau)) = (1 - exp (- tau)) * ((INR N - 1 - exp tau) / INR N)).
      { assert (exp tau * exp (- tau) = 1) by (rewrite <- exp_plus, Rplus_opp_r; apply exp_0). field_simplify; [|lra|lra].
        f_equal. nra. }
      split; intros H.
      * destruct (Rlt_le_dec (1 + exp tau) (INR N)) as [|Cc]; auto. exfalso.
        assert (1 <= exp tau / INR N + (1 - / INR N) * exp (- tau)).
        { assert ((INR N - 1 - exp tau) / INR N <= 0).
          { apply (Rmult_le_reg_r (INR N)); auto. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
          assert ((1 - exp (- tau)) * ((INR N - 1 - exp tau) / INR N) <= 0) by nra. lra. }
        assert (0 <= ln (exp tau / INR N + (1 - / INR N) * exp (- tau))); [|lra].
        rewrite <- ln_1. apply ln_le_iff; lra.
      * assert (0 < (INR N - 1 - exp tau) / INR N) by (apply Rdiv_pos; lra).
        assert (0 < (1 - exp (- tau)) * ((INR N - 1 - exp tau) / INR N)) by (apply Rmult_lt_0_compat; lra).
        pose proof (ln_neg (exp tau / INR N + (1 - / INR N) * exp (- tau)) ltac:(lra)). lra.
  - intros e He.
    (* excess N = tau - ln(1 + (e^{2 tau} - 1)/N) *)
    set (g := exp tau * exp tau - 1). assert (Pg : 0 < g) by (unfold g; nra).
    destruct (archimed_cor1 (e / g) ltac:(apply Rdiv_pos; lra)) as [N0 [A1 A2]].
    exists N0. intros N HN. assert (PN : 0 < INR N) by (apply lt_0_INR; lia).
    assert (Q : exp tau / INR N + (1 - / INR N) * exp (- tau) = exp (- tau) * (1 + g / INR N)).
    { assert (I : exp (- tau) = / exp tau) by apply exp_Ropp. rewrite I. unfold g. field. split; [lra|]. pose proof (exp_pos tau). lra. }
    assert (Pq : 0 < g / INR N) by now apply Rdiv_pos.
    unfold excess. rewrite Q, ln_mult, ln_exp by (auto; lra).
    assert (L1 : ln (1 + g / INR N) < g / INR N) by (pose proof (ln_lt_sub (1 + g / INR N) ltac:(lra) ltac:(lra)); lra).
    assert (L2 : 0 < ln (1 + g / INR N)) by (apply ln_pos; lra).
    assert (g / INR N < e); [|lra].
    apply Rle_lt_trans with (g * / INR N0).
    + apply Rmult_le_compat_l; [lra|]. apply Rinv_le_contravar; [apply lt_0_INR; lia|now apply le_INR].
    + replace e with (g * (e / g)) by (field; lra). apply Rmult_lt_compat_l; lra.
Qed.

(** (e) At T = ln r, P and Q mutually absolutely continuous: -ln(1 + e^{-tau}) <= SMILE - I <= tau. *)
Theorem smile_is_not_a_bound_e : forall (X : Type) (l : list X) (p q : X -> R) (tau : R),
  law l p -> law l q -> ac l p q -> ac l q p -> 0 < tau ->
  - ln (1 + exp (- tau)) <= smile l p q (fun x => ln (p x / q x)) tau - kl l p q <= tau.
Proof.
  intros X l p q tau Lp Lq A B Ht. pose proof (exp_pos (- tau)) as Pm. pose proof (ends tau Ht) as [E0 E1].
  set (T := fun x => ln (p x / q x)). pose proof (clipped_pos l q T tau Lq Ht) as Pc.
  assert (S : smile l p q T tau - kl l p q = - ln (clipped l q T tau)) by (unfold smile, T, kl, E; ring).
  rewrite S. split.
  - assert (clipped l q T tau <= 1 + exp (- tau)).
    { assert (M : E l q (fun x => p x / q x + exp (- tau)) = 1 + exp (- tau)).
      { rewrite E_shift by auto. f_equal. destruct Lp as [Np Sp]. rewrite <- Sp. apply sum_ext. intros x Hx.
        destruct (ac_cases l q p x Lq (conj Np Sp) B Hx) as [H|[Hq Hp]]; [rewrite H, (A x Hx H); unfold Rdiv; ring|field; lra]. }
      rewrite <- M. apply E_le; auto. intros x Hx Hq.
      destruct (ac_cases l q p x Lq Lp B Hx) as [H|[_ Hp]]; [lra|]. pose proof (Rdiv_pos _ _ Hp Hq).
      unfold T. rewrite exp_ln by auto. unfold clip.
      apply Rle_trans with (Rmax (p x / q x) (exp (- tau))); [apply Rmin_l|]. apply Rmax_lub; lra. }
    assert (ln (clipped l q T tau) <= ln (1 + exp (- tau))) by (apply ln_le_iff; lra). lra.
  - assert (exp (- tau) <= clipped l q T tau).
    { rewrite <- (E_const l q (exp (- tau)) Lq). apply E_le; auto. intros; now apply clip_bounds. }
    assert (- tau <= ln (clipped l q T tau)); [|lra]. rewrite <- (ln_exp (- tau)). apply ln_le_iff; lra.
Qed.
