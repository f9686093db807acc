(** At a mean loss ell at most (ell - F)/(f(-x) - F) of the pairs have a chosen reward of -x or less. *)
From MI Require Import preference.pairs_of_scores numbers.

(** The share of the law's pairs with u <= -x. *)
Definition sunk {X} (l : list X) (p u : X -> R) (x : R) : R :=
  E l p (fun i => if Rle_dec (u i) (- x) then 1 else 0).

Lemma own_0_lt a x : 0 < a < 1 -> 0 < x -> floor_at a < own a (- x).
Proof.
  intros Ha Hx. apply own_min_lt; auto. pose proof (ln_neg (1 - a) ltac:(lra)). lra.
Qed.

(** (a) A pair with u <= -x has a loss above f(-x), every pair one above F; so the share is at most the one at which the two
    mix to the mean loss: share f(-x) + (1 - share) F = ell. *)
Theorem no_collapse_share_a : forall (X : Type) (l : list X) (p u v : X -> R) (a x : R),
  law l p -> 0 < a < 1 -> 0 < x ->
  let ell := E l p (fun i => js_loss a (u i) (v i)) in
  let share := (ell - floor_at a) / (own a (- x) - floor_at a) in
  (forall r s, r <= - x -> own a (- x) < js_loss a r s)
  /\ (forall r s, floor_at a < js_loss a r s)
  /\ share * own a (- x) + (1 - share) * floor_at a = ell
  /\ sunk l p u x <= share.
Proof.
  intros X l p u v a x Lp Ha Hx ell share.
  assert (G : forall r s, r <= - x -> own a (- x) < js_loss a r s).
  { intros r s [Hr|Hr]; rewrite js_loss_own; pose proof (sp_pos s);
    assert (0 < a * sp s) by (apply Rmult_lt_0_compat; lra).
    - pose proof (own_falls a r (- x) Ha Hr). pose proof (ln_neg (1 - a) ltac:(lra)). lra.
    - subst r. lra. }
  assert (F : forall r s, floor_at a < js_loss a r s) by (intros; now apply floor_lt_js_loss).
  pose proof (own_0_lt a x Ha Hx) as D.
  split; [exact G|]. split; [exact F|]. split; [unfold share; field; lra|].
  apply (Rmult_le_reg_r (own a (- x) - floor_at a)); [lra|].
  replace (share * (own a (- x) - floor_at a)) with (ell - floor_at a) by (unfold share; field; lra).
  unfold sunk, ell. rewrite <- (E_const l p (floor_at a) Lp) at 2. rewrite <- E_minus, Rmult_comm, <- E_scal.
  apply E_le; auto. intros i _ _. destruct (Rle_dec (u i) (- x)) as [H|H].
  - pose proof (G (u i) (v i) H). lra.
  - pose proof (F (u i) (v i)). lra.
Qed.

(** (b) It is sharp: with that share at -x, the others at the anchor, and every rejected reward at v, the mean loss tends to
    ell as v sinks. *)
Theorem no_collapse_share_b : forall a x ell : R, 0 < a < 1 -> 0 < x ->
  floor_at a <= ell <= own a (- x) ->
  let share := (ell - floor_at a) / (own a (- x) - floor_at a) in
  0 <= share <= 1
  /\ (forall v, share * js_loss a (- x) v + (1 - share) * js_loss a (- ln (1 - a)) v = ell + a * sp v)
  /\ (forall e, 0 < e -> exists V, forall v, v < V -> 0 < a * sp v < e).
Proof.
  intros a x ell Ha Hx He share. pose proof (own_0_lt a x Ha Hx) as D. split; [|split].
  - unfold share. split.
    + apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. lra.
    + apply (Rmult_le_reg_r (own a (- x) - floor_at a)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
  - intros v. rewrite !js_loss_own, own_anchor by auto. unfold share. field. lra.
  - intros e Hp. destruct (exp_small e Hp) as [k [_ Hk]]. exists (- k). intros v Hv.
    pose proof (sp_pos v). pose proof (sp_lt_exp v). pose proof (exp_increasing v (- k) Hv).
    split; [apply Rmult_lt_0_compat; lra|]. nra.
Qed.

(** (c) MIO (a = 1/2): the largest share at ell = 2 ln 2 and at ell = 1, at depths 2, 5 and 10, to the digits shown. *)
Theorem no_collapse_share_c :
  let share := fun ell x => (ell - floor_at (1/2)) / (own (1/2) (- x) - floor_at (1/2)) in
  Rabs (share (2 * ln 2) 2 - 3492/10000) < 1/20000
  /\ Rabs (share (2 * ln 2) 5 - 1064/10000) < 1/20000
  /\ Rabs (share (2 * ln 2) 10 - 477/10000) < 1/20000
  /\ Rabs (share 1 2 - 366/10000) < 1/20000
  /\ Rabs (share 1 5 - 112/10000) < 1/20000
  /\ Rabs (share 1 10 - 50/10000) < 1/20000.
Proof. intros share. unfold share, own, floor_at, sp. repeat split; interval with (i_prec 60). Qed.
