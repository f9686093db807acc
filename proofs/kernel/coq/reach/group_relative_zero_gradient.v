(** A group-relative gradient is exactly 0 unless the group has a correct and a wrong answer. *)
From MI Require Import exchangeable softmax.

Section Group.
Context {X : Type} (dec : forall a b : X, {a = b} + {a <> b}) (l : list X) (policy r : X -> R).

(** The estimate along theta_y: (1/n) sum (r_i - mean r) d ln pi(y_i)/dtheta_y, which is 1[y_i = y] - pi_y. *)
Definition ghat (s : list X) (y : X) : R := mean s (fun a => (r a - mean s r) * (at_ dec y a - policy y)).

(** The gradient of J = E_pi r along theta_y. *)
Definition gradient (y : X) : R := policy y * (r y - E l policy r).

(** The variance of the group's rewards. *)
Definition spread (s : list X) : R := mean s (fun a => (r a - mean s r) ^ 2).
End Group.

Lemma mean_plus {X} (s : list X) f g : mean s (fun x => f x + g x) = mean s f + mean s g.
Proof. unfold mean. rewrite sum_plus. unfold Rdiv. ring. Qed.
Lemma mean_scal {X} (s : list X) c f : mean s (fun x => c * f x) = c * mean s f.
Proof. unfold mean. rewrite sum_scal. unfold Rdiv. ring. Qed.
Lemma mean_const {X} (s : list X) c : s <> [] -> mean s (fun _ => c) = c.
Proof.
  intros H. unfold mean. rewrite sum_const. field. apply not_0_INR. destruct s; [easy|simpl; lia].
Qed.
Lemma length_pos {X} (s : list X) : s <> [] -> 0 < INR (length s).
Proof. intros H. apply lt_0_INR. destruct s; [easy|simpl; lia]. Qed.

Lemma mean_dev {X} (s : list X) r : s <> [] -> mean s (fun a => r a - mean s r) = 0.
Proof.
  intros H. transitivity (mean s r + mean s (fun _ => - mean s r)).
  - rewrite <- mean_plus. unfold mean at 1 3. f_equal. 
  - rewrite mean_const by auto. ring.
Qed.

(** The spread is 0 iff all rewards are equal. *)
Lemma spread_zero {X} (s : list X) r : s <> [] ->
  0 <= spread r s /\ (spread r s = 0 <-> forall a, In a s -> r a = mean s r).
Proof.
  intros H. pose proof (length_pos s H) as P. unfold spread. split.
  - unfold mean at 1. apply Rmult_le_pos; [apply sum_nonneg; intros; apply pow2_ge_0|left; now apply Rinv_0_lt_compat].
  - split.
    + intros Z0 a Ha. unfold mean at 1 in Z0. apply (f_equal (fun v => v * INR (length s))) in Z0.
      unfold Rdiv in Z0. rewrite Rmult_assoc, Rinv_l, Rmult_1_r, Rmult_0_l in Z0 by lra.
      pose proof (sum_nonneg_0 s (fun a => (r a - mean s r) ^ 2) (fun x _ => pow2_ge_0 _) Z0 a Ha) as Q. cbv beta in Q.
      nra.
    + intros Eq. unfold mean at 1. rewrite (sum_ext s _ (fun _ => 0)), sum_0; [unfold Rdiv; ring|].
      intros a Ha. rewrite (Eq a Ha). ring.
Qed.

Lemma binary_equal {X} (s : list X) r : s <> [] -> (forall a, In a s -> r a = 0 \/ r a = 1) ->
  ((forall a, In a s -> r a = mean s r) <-> (forall a, In a s -> r a = 0) \/ (forall a, In a s -> r a = 1)).
Proof.
  intros H B. split.
  - intros Eq. destruct s as [|b s]; [easy|]. destruct (B b (or_introl eq_refl)) as [Hb|Hb]; [left|right];
      intros a Ha; rewrite (Eq a Ha), <- (Eq b (or_introl eq_refl)); exact Hb.
  - intros [Eq|Eq] a Ha; rewrite (Eq a Ha).
    + transitivity (mean s (fun _ => 0)); [now rewrite mean_const|]. unfold mean. f_equal. apply sum_ext. intros; now rewrite Eq.
    + transitivity (mean s (fun _ => 1)); [now rewrite mean_const|]. unfold mean. f_equal. apply sum_ext. intros; now rewrite Eq.
Qed.

(** Along the reward itself the estimate is the spread. *)
Lemma ghat_along_r {X} dec (l : list X) policy r s : NoDup l -> law l policy -> s <> [] -> (forall a, In a s -> In a l) ->
  sum l (fun y => r y * ghat dec policy r s y) = spread r s.
Proof.
  intros N L H In_s. unfold ghat, spread, mean at 1 3.
  transitivity (sum s (fun a => (r a - mean s r) * (r a - E l policy r)) / INR (length s)).
  - rewrite (sum_ext l _ (fun y => sum s (fun a => (r a - mean s r) * (r y * at_ dec y a - r y * policy y)) / INR (length s))).
    + rewrite sum_div. f_equal. rewrite sum_swap. apply sum_ext. intros a Ha. rewrite sum_scal. f_equal.
      rewrite sum_minus. f_equal; [|apply sum_ext; intros; ring].
      rewrite (sum_ext l _ (fun y => r y * at_ dec a y)).
      * apply sum_at; auto.
      * intros y _. f_equal. unfold at_. destruct (dec a y), (dec y a); congruence.
    + intros y _. unfold Rdiv. rewrite <- Rmult_assoc. f_equal. rewrite <- sum_scal. apply sum_ext. intros; ring.
  - f_equal. rewrite (sum_ext s _ (fun a => (r a - mean s r) ^ 2 + (mean s r - E l policy r) * (r a - mean s r))) by (intros; ring).
    rewrite sum_plus, sum_scal. replace (sum s (fun a => r a - mean s r)) with 0; [ring|].
    pose proof (mean_dev s r H) as M. unfold mean at 1 in M. pose proof (length_pos s H).
    apply (f_equal (fun v => v * INR (length s))) in M. unfold Rdiv in M. rewrite Rmult_assoc, Rinv_l in M; lra.
Qed.

Lemma ghat_zero {X} dec (l : list X) policy r s : NoDup l -> law l policy -> s <> [] -> (forall a, In a s -> In a l) ->
  (forall y, In y l -> r y = 0 \/ r y = 1) ->
  ((forall y, In y l -> ghat dec policy r s y = 0) <-> (forall a, In a s -> r a = 0) \/ (forall a, In a s -> r a = 1)).
Proof.
  intros N L H In_s B. rewrite <- (binary_equal s r H (fun a Ha => B a (In_s a Ha))).
  rewrite <- (proj2 (spread_zero s r H)). split.
  - intros Z0. rewrite <- (ghat_along_r dec l policy r s N L H In_s), <- (sum_0 l). apply sum_ext. intros y Hy. rewrite Z0; auto. ring.
  - intros S y Hy. rewrite (proj2 (spread_zero s r H)) in S. unfold ghat, mean at 1.
    rewrite (sum_ext s _ (fun _ => 0)), sum_0; [unfold Rdiv; ring|]. intros a Ha. rewrite (S a Ha). ring.
Qed.

Section Counting.
Context {X : Type} (l : list X) (policy : X -> R) (L : law l policy) (right : X -> bool).
Let eps := E l policy (fun x => if right x then 1 else 0).

Lemma all_of n (b : bool) : E (tuples n l) (iid policy) (fun s => if forallb (fun x => Bool.eqb (right x) b) s then 1 else 0)
  = (if b then eps else 1 - eps) ^ n.
Proof.
  induction n as [|n IH]; [unfold E; simpl; unfold iid; simpl; destruct b; ring|].
  unfold E. rewrite sum_tuples_S.
  rewrite (sum_ext l _ (fun x => policy x * (if Bool.eqb (right x) b then 1 else 0) * (if b then eps else 1 - eps) ^ n)).
  - rewrite sum_scal_r. replace (sum l (fun x => policy x * (if Bool.eqb (right x) b then 1 else 0))) with (if b then eps else 1 - eps).
    + destruct b; simpl; ring.
    + destruct b; unfold eps; [apply E_ext; intros x _; destruct (right x); reflexivity|].
      rewrite <- (E_const l policy 1 L) at 1. rewrite <- E_minus. apply E_ext. intros x _. destruct (right x); simpl; ring.
  - intros x _. rewrite <- IH. unfold E. rewrite <- sum_scal. apply sum_ext. intros s _. unfold iid. simpl.
    destruct (Bool.eqb (right x) b); simpl; destruct (forallb _ s); ring.
Qed.
End Counting.

(** (a) The estimate is 0 iff none or all are correct, of probability (1 - eps)^n + eps^n; normalised by s + delta it is 0
    in the same cases. *)
Theorem group_relative_zero_gradient_a : forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
    (policy : X -> R) (right : X -> bool) (n : nat),
  NoDup l -> law l policy -> (1 <= n)%nat ->
  let r := fun x => if right x then 1 else 0 in
  let eps := E l policy r in
  (forall s, In s (tuples n l) ->
     ((forall y, In y l -> ghat dec policy r s y = 0)
        <-> forallb (fun x => Bool.eqb (right x) false) s = true \/ forallb (fun x => Bool.eqb (right x) true) s = true)
     /\ (forall delta, 0 < delta ->
          ((forall y, In y l -> ghat dec policy r s y = 0)
             <-> forall y, In y l -> ghat dec policy r s y / (sqrt (spread r s) + delta) = 0)))
  /\ E (tuples n l) (iid policy) (fun s => if forallb (fun x => Bool.eqb (right x) false) s then 1 else 0) = (1 - eps) ^ n
  /\ E (tuples n l) (iid policy) (fun s => if forallb (fun x => Bool.eqb (right x) true) s then 1 else 0) = eps ^ n
  /\ (forall s, In s (tuples n l) -> ~ (forallb (fun x => Bool.eqb (right x) false) s = true
                                      /\ forallb (fun x => Bool.eqb (right x) true) s = true)).
Proof.
  intros X dec l policy right n N L Hn r eps. split; [|split; [|split]].
  - intros s Hs. pose proof (length_tuples l n s Hs) as Ln.
    assert (NE : s <> []) by (intros ->; simpl in Ln; lia).
    assert (In_s : forall a, In a s -> In a l) by (intros a; now apply (in_tuples l n)).
    split.
    + rewrite (ghat_zero dec l policy r s N L NE In_s) by (intros; unfold r; destruct (right y); auto).
      rewrite !forallb_forall. unfold r. split; (intros [H|H]; [left|right]); intros a Ha; specialize (H a Ha);
        destruct (right a); simpl in *; auto; try lra; congruence.
    + intros delta Hd. pose proof (sqrt_pos (spread r s)). split; intros H1 y Hy.
      * rewrite H1 by auto. unfold Rdiv. ring.
      * specialize (H1 y Hy). apply (f_equal (fun v => v * (sqrt (spread r s) + delta))) in H1.
        unfold Rdiv in H1. rewrite Rmult_assoc, Rinv_l in H1; lra.
  - exact (all_of l policy L right n false).
  - exact (all_of l policy L right n true).
  - intros s Hs [H1 H2]. pose proof (length_tuples l n s Hs) as Ln. destruct s as [|a s]; [simpl in Ln; lia|].
    simpl in *. destruct (right a); simpl in *; congruence.
Qed.

Lemma E_product_iid {X} (l : list X) p n f g : law l p ->
  E (tuples n l) (iid p) (fun s => sum s f * sum s g)
    = INR n * E l p (fun x => f x * g x) + INR n * (INR n - 1) * (E l p f * E l p g).
Proof.
  intros L. induction n as [|n IH]; [unfold E; simpl; ring|].
  unfold E at 1. rewrite sum_tuples_S.
  destruct (law_iid l p n L) as [_ One].
  rewrite (sum_ext l _ (fun a => p a * (f a * g a) + p a * f a * (INR n * E l p g) + p a * g a * (INR n * E l p f)
     + p a * E (tuples n l) (iid p) (fun s => sum s f * sum s g))).
  - rewrite !sum_plus, !sum_scal_r, IH. fold (E l p f) (E l p g) (E l p (fun x => f x * g x)).
    destruct L as [_ ->]. rewrite S_INR. ring.
  - intros a _. rewrite <- (E_sum_iid l p n f L), <- (E_sum_iid l p n g L).
    replace (p a * (f a * g a)) with (p a * (f a * g a) * sum (tuples n l) (iid p)) by (rewrite One; ring).
    unfold E. rewrite <- !sum_scal, <- !sum_plus. apply sum_ext. intros s _. unfold iid. simpl. ring.
Qed.

(** (b) E ghat = (1 - 1/n) grad J. *)
Theorem group_relative_zero_gradient_b : forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
    (policy r : X -> R) (n : nat) (y : X),
  NoDup l -> law l policy -> (1 <= n)%nat -> In y l ->
  E (tuples n l) (iid policy) (fun s => ghat dec policy r s y) = (1 - 1 / INR n) * gradient l policy r y.
Proof.
  intros X dec l p r n y N L Hn Hy. assert (Pn : 0 < INR n) by (apply lt_0_INR; lia).
  set (h := fun a => at_ dec y a - p y).
  assert (Eh : E l p h = 0) by (unfold h; rewrite E_minus, E_at, E_const; auto; ring).
  assert (Erh : E l p (fun a => r a * h a) = gradient l p r y).
  { unfold h, gradient. rewrite (E_ext l p _ (fun a => r a * at_ dec y a - p y * r a)) by (intros; ring).
    rewrite E_minus, E_scal. unfold E at 1.
    rewrite (sum_ext l _ (fun x => p x * r x * at_ dec y x)) by (intros; ring). rewrite sum_at by auto. ring. }
  transitivity (E (tuples n l) (iid p) (fun s => / INR n * sum s (fun a => r a * h a) - / INR n * / INR n * (sum s r * sum s h))).
  - apply E_ext. intros s Hs. pose proof (length_tuples l n s Hs) as Ln. unfold ghat. unfold mean at 1. rewrite Ln.
    rewrite (sum_ext s _ (fun a => r a * h a - mean s r * h a)) by (intros; unfold h; ring).
    rewrite sum_minus, sum_scal. unfold mean. rewrite Ln. unfold Rdiv. ring.
  - rewrite E_minus, !E_scal, (E_sum_iid l p n (fun a => r a * h a) L), E_product_iid, Eh, Erh by auto. field. lra.
Qed.

(** (c) While pi stays, the steps to the first correct response have the mean 1/(1 - (1 - eps)^n) >= 1/(n eps), and to the
    first non-zero estimate 1/(1 - (1 - eps)^n - eps^n), n >= 2: the sums over j of the probability that j steps are
    not enough. For n = 1 the estimate is always 0. *)
Theorem group_relative_zero_gradient_c :
  (forall (eps : R) (n : nat), 0 < eps < 1 -> (1 <= n)%nat ->
     is_series (fun j => ((1 - eps) ^ n) ^ j) (1 / (1 - (1 - eps) ^ n))
     /\ 1 / (INR n * eps) <= 1 / (1 - (1 - eps) ^ n))
  /\ (forall (eps : R) (n : nat), 0 < eps < 1 -> (2 <= n)%nat ->
     is_series (fun j => ((1 - eps) ^ n + eps ^ n) ^ j) (1 / (1 - (1 - eps) ^ n - eps ^ n)))
  /\ (forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (policy r : X -> R) (a y : X),
     ghat dec policy r [a] y = 0).
Proof.
  assert (Geo : forall q, 0 <= q < 1 -> is_series (fun j => q ^ j) (1 / (1 - q))).
  { intros q Hq. unfold Rdiv. rewrite Rmult_1_l. apply is_series_geom. rewrite Rabs_right; lra. }
  assert (Pow : forall x n, 0 < x < 1 -> (1 <= n)%nat -> 0 < x ^ n <= x).
  { intros x n Hx Hn. split; [apply pow_lt; lra|]. destruct n as [|n]; [lia|]. simpl.
    pose proof (pow_lt x n (proj1 Hx)). assert (x ^ n <= 1); [|nra].
    clear - Hx. induction n as [|n IH]; simpl; [lra|]. pose proof (pow_lt x n (proj1 Hx)). nra. }
  split; [|split].
  - intros eps n He Hn. pose proof (Pow (1 - eps) n ltac:(lra) Hn). split; [apply Geo; lra|].
    assert (Pn : 1 <= INR n) by (replace 1 with (INR 1) by reflexivity; now apply le_INR).
    unfold Rdiv. rewrite !Rmult_1_l. apply Rinv_le_contravar; [lra|].
    assert (1 - INR n * eps <= (1 - eps) ^ n); [|lra].
    clear - He. induction n as [|n IH]; [simpl; lra|]. rewrite S_INR. simpl.
    pose proof (pos_INR n). assert (0 <= INR n * (eps * eps)) by (apply Rmult_le_pos; nra).
    apply (Rmult_le_compat_l (1 - eps)) in IH; nra.
  - intros eps n He Hn. destruct n as [|n]; [lia|]. assert (Hn' : (1 <= n)%nat) by lia.
    pose proof (Pow (1 - eps) n ltac:(lra) Hn'). pose proof (Pow eps n He Hn').
    replace (1 - (1 - eps) ^ S n - eps ^ S n) with (1 - ((1 - eps) ^ S n + eps ^ S n)) by ring.
    apply Geo. simpl. split; nra.
  - intros X dec policy r a y. unfold ghat, mean. simpl. field.
Qed.
