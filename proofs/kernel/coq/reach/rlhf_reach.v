(** RLHF keeps the support: odds of success times e^{1/beta}, 0 stays 0; pass@k and its unbiased estimator. *)
From MI Require Import exchangeable.

(** pi_star = ref e^{r/beta}/Z. *)
Definition best {X} (l : list X) (ref r : X -> R) (beta : R) : X -> R := tilt l ref (fun y => r y / beta).

(** (a) pi_star(y) > 0 iff ref(y) > 0, and its ratios on the support are e^{(r_y - r_y')/beta} ref(y)/ref(y'). *)
Theorem rlhf_reach_a : forall (X : Type) (l : list X) (ref r : X -> R) (beta : R),
  law l ref -> 0 < beta ->
  law l (best l ref r beta)
  /\ (forall y, In y l -> (0 < best l ref r beta y <-> 0 < ref y))
  /\ (forall y y', In y l -> In y' l -> 0 < ref y -> 0 < ref y' ->
        best l ref r beta y / best l ref r beta y' = exp ((r y - r y') / beta) * (ref y / ref y')).
Proof.
  intros X l ref r beta L Hb. split; [now apply law_tilt|].
  pose proof (mgf_pos l ref (fun y => r y / beta) L) as PZ. unfold best, tilt. split.
  - intros y Hy. pose proof (exp_pos (r y / beta)). split; intros H1.
    + destruct L as [N _]. destruct (N y Hy) as [|Z0]; auto. rewrite <- Z0 in H1. unfold Rdiv in H1.
      rewrite Rmult_0_r, Rmult_0_l in H1. lra.
    + apply Rdiv_pos; auto. now apply Rmult_lt_0_compat.
  - intros y y' _ _ H H'. pose proof (exp_pos (r y' / beta)).
    replace ((r y - r y') / beta) with (r y / beta + - (r y' / beta)) by (field; lra).
    rewrite exp_plus, exp_Ropp. field. repeat split; lra.
Qed.

(** (b) With r = 1 on the correct responses, 0 on the others, and p their probability under the reference, that under
    pi_star is p' = p e^{1/beta}/(1 - p + p e^{1/beta}): odds times e^{1/beta}, 0 stays 0, p < p' < e^{1/beta} p in
    between, and two correct responses keep their ratio. *)
Theorem rlhf_reach_b : forall (X : Type) (l : list X) (ref r : X -> R) (beta : R),
  law l ref -> 0 < beta -> (forall y, In y l -> r y = 0 \/ r y = 1) ->
  let p := E l ref r in
  let p' := E l (best l ref r beta) r in
  let e := exp (1 / beta) in
  p' = p * e / (1 - p + p * e)
  /\ (p < 1 -> p' / (1 - p') = e * (p / (1 - p)))
  /\ (p = 0 -> p' = 0)
  /\ (0 < p < 1 -> p < p' < e * p)
  /\ (forall y y', In y l -> In y' l -> r y = 1 -> r y' = 1 -> 0 < ref y -> 0 < ref y' ->
        best l ref r beta y / best l ref r beta y' = ref y / ref y').
Proof.
  intros X l ref r beta L Hb R01 p p' e.
  assert (He : 1 < e) by (unfold e; rewrite <- exp_0 at 1; apply exp_increasing; apply Rdiv_pos; lra).
  assert (Bp : 0 <= p <= 1).
  { unfold p. apply (E_bounds l ref r 0 1); auto. intros x Hx _. destruct (R01 x Hx); lra. }
  assert (Ex : forall y, In y l -> exp (r y / beta) = 1 - r y + r y * e).
  { intros y Hy. unfold e. destruct (R01 y Hy) as [-> | ->]; [unfold Rdiv; rewrite Rmult_0_l, exp_0|]; ring. }
  assert (Z1 : mgf l ref (fun y => r y / beta) = 1 - p + p * e).
  { unfold mgf. rewrite (E_ext l ref _ (fun y => 1 + (e - 1) * r y)) by (intros y Hy; rewrite Ex; auto; ring).
    rewrite E_plus, E_scal, E_const by auto. fold p. ring. }
  assert (PZ : 0 < 1 - p + p * e) by nra.
  assert (P1 : p' = p * e / (1 - p + p * e)).
  { unfold p', best, tilt, E. rewrite Z1.
    rewrite (sum_ext l _ (fun x => e * (ref x * r x) / (1 - p + p * e))).
    - rewrite sum_div, sum_scal. fold (E l ref r). fold p. unfold Rdiv. ring.
    - intros y Hy. rewrite Ex by auto. destruct (R01 y Hy) as [-> | ->]; unfold Rdiv; ring. }
  refine (conj P1 (conj _ (conj _ (conj _ _)))).
  - intros H. rewrite P1. field; repeat split; lra.
  - intros H. rewrite P1. unfold Rdiv. rewrite H. ring.
  - intros H. rewrite P1.
    assert (Q1 : 0 < p * (1 - p) * (e - 1)) by (repeat apply Rmult_lt_0_compat; lra).
    assert (Q2 : 0 < e * p * p * (e - 1)) by (repeat apply Rmult_lt_0_compat; lra).
    split.
    + apply (Rmult_lt_reg_r (1 - p + p * e)); auto. unfold Rdiv. rewrite (Rmult_assoc (p * e)), Rinv_l by lra. lra.
    + apply (Rmult_lt_reg_r (1 - p + p * e)); auto. unfold Rdiv. rewrite (Rmult_assoc (p * e)), Rinv_l by lra. lra.
  - intros y y' Hy Hy' H H' P P'. destruct (rlhf_reach_a X l ref r beta L Hb) as [_ [_ Rt]].
    rewrite Rt by auto. rewrite H, H', Rminus_eq_0. unfold Rdiv at 1. rewrite Rmult_0_l, exp_0. ring.
Qed.

(** Binomial coefficients; 0 where k > n. *)
Fixpoint choose (n k : nat) : R :=
  match n, k with
  | _, O => 1
  | O, S _ => 0
  | S m, S j => choose m j + choose m (S j)
  end.

Lemma choose_0 n : forall k, (n < k)%nat -> choose n k = 0.
Proof.
  induction n as [|n IH]; intros k H; (destruct k as [|k]; [lia|]); [reflexivity|].
  simpl. rewrite (IH k), (IH (S k)) by lia. ring.
Qed.

Lemma choose_pos n : forall k, (k <= n)%nat -> 0 < choose n k.
Proof.
  induction n as [|n IH]; intros k H.
  - replace k with 0%nat by lia. simpl. lra.
  - destruct k as [|k]; [simpl; lra|]. simpl. pose proof (IH k ltac:(lia)).
    destruct (Nat.eq_dec k n) as [->|N]; [rewrite (choose_0 n (S n)) by lia; lra|].
    pose proof (IH (S k) ltac:(lia)). lra.
Qed.

(** The number of wrong responses of a sample, [right] saying which are correct. *)
Fixpoint wrong {X} (right : X -> bool) (s : list X) : nat :=
  match s with [] => O | x :: t => if right x then wrong right t else S (wrong right t) end.

Section Samples.
Context {X : Type} (l : list X) (p : X -> R) (right : X -> bool) (L : law l p).
Let eps := E l p (fun x => if right x then 1 else 0).

Lemma split_right (f : bool -> R) : sum l (fun x => p x * f (right x)) = eps * f true + (1 - eps) * f false.
Proof.
  transitivity (sum l (fun x => p x * (if right x then 1 else 0) * f true
    + (p x - p x * (if right x then 1 else 0)) * f false)).
  - apply sum_ext. intros x _. destruct (right x); ring.
  - rewrite sum_plus, !sum_scal_r, sum_minus. destruct L as [_ ->]. reflexivity.
Qed.

Lemma E_choose n : forall k, E (tuples n l) (iid p) (fun s => choose (wrong right s) k) = choose n k * (1 - eps) ^ k.
Proof.
  induction n as [|n IH]; intros k.
  - unfold E. simpl. unfold iid. simpl. destruct k; simpl; ring.
  - unfold E. rewrite sum_tuples_S.
    rewrite (sum_ext l _ (fun x => p x * (if right x then E (tuples n l) (iid p) (fun s => choose (wrong right s) k)
      else E (tuples n l) (iid p) (fun s => choose (S (wrong right s)) k)))).
    + rewrite (split_right (fun b => if b then E (tuples n l) (iid p) (fun s => choose (wrong right s) k)
        else E (tuples n l) (iid p) (fun s => choose (S (wrong right s)) k))).
      destruct k as [|k].
      * rewrite (E_ext _ _ (fun s => choose (S (wrong right s)) 0) (fun s => choose (wrong right s) 0)).
        -- rewrite IH. simpl. destruct n; simpl; ring.
        -- intros s _. destruct (wrong right s); reflexivity.
      * cbn [choose]. rewrite E_plus, !IH. simpl. ring.
    + intros x _. unfold iid. cbn [product wrong]. destruct (right x); unfold E; rewrite <- sum_scal; apply sum_ext; intros; ring.
Qed.

Lemma E_none n : E (tuples n l) (iid p) (fun s => if existsb right s then 0 else 1) = (1 - eps) ^ n.
Proof.
  induction n as [|n IH].
  - unfold E. simpl. unfold iid. simpl. ring.
  - unfold E. rewrite sum_tuples_S.
    rewrite (sum_ext l _ (fun x => p x * (if right x then 0 else E (tuples n l) (iid p) (fun s => if existsb right s then 0 else 1)))).
    + rewrite (split_right (fun b => if b then 0 else E (tuples n l) (iid p) (fun s => if existsb right s then 0 else 1))), IH.
      simpl. ring.
    + intros x _. unfold iid. simpl. destruct (right x); simpl.
      * rewrite (sum_ext _ _ (fun _ => 0)), sum_0; [ring|]. intros; ring.
      * unfold E. rewrite <- sum_scal. apply sum_ext. intros; ring.
Qed.
End Samples.

(** (c) pass@k, the probability that one of k independent responses is correct, is 1 - (1 - p)^k; with c correct ones of
    n >= k, 1 - C(n - c, k)/C(n, k) has exactly this mean ([wrong] counts n - c). *)
Theorem rlhf_reach_c : forall (X : Type) (l : list X) (policy : X -> R) (right : X -> bool),
  law l policy ->
  let p := E l policy (fun x => if right x then 1 else 0) in
  (forall k, E (tuples k l) (iid policy) (fun s => if existsb right s then 1 else 0) = 1 - (1 - p) ^ k)
  /\ (forall n k, (k <= n)%nat ->
        E (tuples n l) (iid policy) (fun s => 1 - choose (wrong right s) k / choose n k) = 1 - (1 - p) ^ k).
Proof.
  intros X l policy right L p. split.
  - intros k. pose proof (E_none l policy right L k) as N. cbv zeta in N. fold p in N. rewrite <- N.
    rewrite <- (E_const (tuples k l) (iid policy) 1 (law_iid l policy k L)) at 1.
    rewrite <- E_minus. apply E_ext. intros s _. destruct (existsb right s); ring.
  - intros n k H. pose proof (choose_pos n k H).
    rewrite (E_ext _ _ _ (fun s => 1 - / choose n k * choose (wrong right s) k)) by (intros; unfold Rdiv; ring).
    pose proof (E_choose l policy right L n k) as N. cbv zeta in N. fold p in N.
    rewrite E_minus, E_scal, (E_const _ _ 1 (law_iid l policy n L)), N. field. lra.
Qed.

Lemma bernoulli p m : 0 <= p <= 1 -> (1 + INR m * p) * (1 - p) ^ m <= 1.
Proof.
  intros H. induction m as [|m IH]; [simpl; lra|]. rewrite S_INR. simpl.
  pose proof (pow_le (1 - p) m ltac:(lra)). pose proof (pos_INR m).
  assert ((1 + (INR m + 1) * p) * (1 - p) <= 1 + INR m * p) by nra.
  apply (Rmult_le_compat_r ((1 - p) ^ m)) in H2; auto. lra.
Qed.

(** (d) For every whole k >= e^{1/beta} the base model's pass@k is at least RLHF's pass@1. *)
Theorem rlhf_reach_d : forall (p beta : R) (k : nat), 0 <= p <= 1 -> 0 < beta -> exp (1 / beta) <= INR k ->
  p * exp (1 / beta) / (1 - p + p * exp (1 / beta)) <= 1 - (1 - p) ^ k.
Proof.
  intros p beta k Hp Hb Hk. set (e := exp (1 / beta)) in *.
  assert (He : 1 < e) by (unfold e; rewrite <- exp_0 at 1; apply exp_increasing; apply Rdiv_pos; lra).
  assert (PZ : 0 < 1 - p + p * e) by nra.
  destruct k as [|k]; [simpl in Hk; lra|]. rewrite S_INR in Hk.
  pose proof (bernoulli p k Hp). pose proof (pow_le (1 - p) k ltac:(lra)).
  apply (Rmult_le_reg_r (1 - p + p * e)); auto. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. simpl.
  assert ((1 - p + p * e) * (1 - p) ^ k <= 1).
  { apply Rle_trans with (2 := H). apply Rmult_le_compat_r; auto. nra. }
  nra.
Qed.
