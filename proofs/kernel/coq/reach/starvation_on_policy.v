(** On-policy, the gradient of a rare response is of order pi_y. *)
From MI Require Import softmax.

(** J = E_pi r - beta KL(pi|ref) of the softmax policy with logits t; A is the advantage before its mean is taken off. *)
Definition J {X} (l : list X) (ref r : X -> R) (beta : R) (t : X -> R) : R :=
  E l (soft l t) r - beta * kl l (soft l t) ref.
Definition advantage {X} (l : list X) (ref r : X -> R) (beta : R) (t : X -> R) (y : X) : R :=
  r y - beta * ln (soft l t y / ref y).

Lemma derive_J {X} (l : list X) ref r beta t d s : l <> [] -> full l ref ->
  is_derive (fun s => J l ref r beta (along t d s)) s
    (E l (soft l (along t d s)) (fun x => (d x - E l (soft l (along t d s)) d) * advantage l ref r beta (along t d s) x)).
Proof.
  intros NE F.
  set (f := fun u x => r x + beta * ln (ref x) - beta * along t d u x).
  assert (Eq : forall u, E l (soft l (along t d u)) (fun x => r x + beta * ln (ref x) - beta * t x)
      - beta * u * E l (soft l (along t d u)) d + beta * ln (sum l (fun y => exp (along t d u y))) = J l ref r beta (along t d u)).
  { intros u. unfold J, kl. pose proof (law_soft l NE (along t d u)) as L.
    rewrite <- (E_const l (soft l (along t d u)) (ln (sum l (fun y => exp (along t d u y)))) L).
    unfold E. rewrite <- !sum_scal, <- !sum_minus, <- sum_plus. apply sum_ext. intros x Hx.
    rewrite ln_div, ln_soft; auto using soft_pos. unfold along. ring. }
  apply (is_derive_ext _ _ _ _ Eq). clear Eq f.
  set (p := soft l (along t d s)). pose proof (law_soft l NE (along t d s)) as L. fold p in L.
  evar_last.
  - apply @is_derive_plus; [apply @is_derive_minus|].
    + apply derive_mean; auto.
    + apply (is_derive_mult (fun u => beta * u) (fun u => E l (soft l (along t d u)) d));
        [auto_derive; auto; reflexivity|apply derive_mean; auto|intros; apply Rmult_comm].
    + apply is_derive_scal. apply derive_log_sum; auto.
  - unfold plus, minus, opp, mult, scal. simpl. unfold plus, minus, opp, mult, scal. simpl. fold p.
    set (m := E l p d). set (lz := ln (sum l (fun y => exp (along t d s y)))).
    assert (C0 : E l p (fun x => d x - m) = 0) by (rewrite E_minus, E_const; auto; unfold m; ring).
    rewrite (E_ext l p (fun x => (d x - m) * advantage l ref r beta (along t d s) x)
      (fun x => ((d x - m) * (r x + beta * ln (ref x) - beta * t x) - beta * s * ((d x - m) * d x)) + beta * lz * (d x - m))).
    + rewrite E_plus, E_minus, !E_scal, C0. unfold m. ring.
    + intros x Hx. unfold advantage. rewrite ln_div, ln_soft; auto using soft_pos. fold lz. unfold along. ring.
Qed.

Lemma advantage_gap {X} (dec : forall a b : X, {a = b} + {a <> b}) (l : list X) p A y lo hi : NoDup l -> law l p -> In y l ->
  (forall x, In x l -> lo <= A x <= hi) -> Rabs (A y - E l p A) <= (1 - p y) * (hi - lo).
Proof.
  intros N L Hy B. assert (Np := proj1 L).
  assert (One : sum l (fun x => p x * (1 - at_ dec y x)) = 1 - p y).
  { rewrite (sum_ext l _ (fun x => p x - p x * at_ dec y x)) by (intros; ring).
    rewrite sum_minus, sum_at by auto. now rewrite (proj2 L). }
  assert (D : A y - E l p A = sum l (fun x => p x * (A y - A x))).
  { rewrite <- (E_const l p (A y) L) at 1. rewrite <- E_minus. reflexivity. }
  assert (P : forall x, In x l -> Rabs (p x * (A y - A x)) <= p x * (1 - at_ dec y x) * (hi - lo)).
  { intros x Hx. pose proof (Np x Hx). pose proof (B x Hx). pose proof (B y Hy). unfold at_.
    destruct (dec x y) as [->|_]; [rewrite Rminus_eq_0, Rmult_0_r, Rabs_R0; lra|].
    rewrite Rabs_mult, (Rabs_right (p x)) by lra.
    assert (Rabs (A y - A x) <= hi - lo) by (apply Rabs_le; lra). nra. }
  rewrite D, <- One, <- sum_scal_r. apply Rabs_le. split.
  - rewrite <- sum_opp. apply sum_le. intros x Hx. pose proof (P x Hx). pose proof (Rabs_le_between (p x * (A y - A x)) (p x * (1 - at_ dec y x) * (hi - lo))). lra.
  - apply sum_le. intros x Hx. pose proof (P x Hx). pose proof (Rle_abs (p x * (A y - A x))). lra.
Qed.

(** (a) dJ/dtheta_y = pi_y (A_y - E_pi A), so |dJ/dtheta_y| <= pi_y (1 - pi_y) osc(A). *)
Theorem starvation_on_policy_a : forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
    (ref r t : X -> R) (beta : R) (y : X),
  NoDup l -> In y l -> full l ref -> 0 <= beta ->
  let p := soft l t in
  let A := advantage l ref r beta t in
  is_derive (fun s => J l ref r beta (along t (at_ dec y) s)) 0 (p y * (A y - E l p A))
  /\ (forall lo hi, (forall x, In x l -> lo <= A x <= hi) -> Rabs (p y * (A y - E l p A)) <= p y * (1 - p y) * (hi - lo)).
Proof.
  intros X dec l ref r t beta y N Hy F Hb p A.
  assert (NE : l <> []) by (intros ->; easy). pose proof (law_soft l NE t) as L. fold p in L.
  split.
  - evar_last; [apply derive_J; auto|].
    assert (S0 : forall x, along t (at_ dec y) 0 x = t x) by (intros; unfold along; ring).
    assert (S1 : forall x, soft l (along t (at_ dec y) 0) x = p x).
    { intros x. unfold p, soft. rewrite S0. f_equal. apply sum_ext. intros; now rewrite S0. }
    transitivity (E l p (fun x => (at_ dec y x - p y) * A x)).
    + unfold E at 1. apply sum_ext. intros x Hx. rewrite S1. f_equal.
      unfold A, advantage. rewrite S1. f_equal. f_equal.
      transitivity (E l p (at_ dec y)); [|now apply E_at]. apply sum_ext. intros; now rewrite S1.
    + rewrite (E_ext l p _ (fun x => at_ dec y x * A x - p y * A x)) by (intros; ring).
      rewrite E_minus, E_scal. unfold E at 1.
      rewrite (sum_ext l _ (fun x => p x * A x * at_ dec y x)) by (intros; ring). rewrite sum_at by auto. ring.
  - intros lo hi B. rewrite Rabs_mult. pose proof (soft_pos l NE t y). fold p in H. rewrite (Rabs_right (p y)) by lra.
    rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|]. now apply (advantage_gap dec).
Qed.

(** (b) At beta = 0, a reward in {0, 1} and eps the probability of a correct response, the 1-norm of the gradient is
    2 eps (1 - eps). *)
Theorem starvation_on_policy_b : forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
    (ref r t : X -> R),
  NoDup l -> l <> [] -> full l ref -> (forall y, In y l -> r y = 0 \/ r y = 1) ->
  let p := soft l t in
  let eps := E l p r in
  0 < eps < 1 ->
  (forall y, In y l -> is_derive (fun s => J l ref r 0 (along t (at_ dec y) s)) 0 (p y * (r y - eps)))
  /\ sum l (fun y => Rabs (p y * (r y - eps))) = 2 * eps * (1 - eps).
Proof.
  intros X dec l ref r t N NE F R01 p eps He. pose proof (law_soft l NE t) as L. fold p in L.
  split.
  - intros y Hy. destruct (starvation_on_policy_a X dec l ref r t 0 y N Hy F (Rle_refl 0)) as [D _].
    assert (A0 : forall x, advantage l ref r 0 t x = r x) by (intros; unfold advantage; ring).
    rewrite A0 in D. replace (E l (soft l t) (advantage l ref r 0 t)) with eps in D; auto.
    apply E_ext. intros; now rewrite A0.
  - transitivity (sum l (fun y => p y * (r y * (1 - eps) + (1 - r y) * eps))).
    + apply sum_ext. intros y Hy. destruct L as [Np _]. pose proof (Np y Hy).
      rewrite Rabs_mult, (Rabs_right (p y)) by lra. f_equal.
      destruct (R01 y Hy) as [-> | ->]; [rewrite Rabs_left by lra|rewrite Rabs_right by lra]; ring.
    + change (E l p (fun y => r y * (1 - eps) + (1 - r y) * eps) = 2 * eps * (1 - eps)).
      rewrite (E_ext l p _ (fun y => (1 - 2 * eps) * r y + eps)) by (intros; ring).
      rewrite E_plus, E_scal, E_const by auto. fold eps. ring.
Qed.
