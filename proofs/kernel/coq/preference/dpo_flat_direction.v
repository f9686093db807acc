(** DPO is flat along (1, 1) in the log-ratios; the JS family is strictly convex. *)
From MI Require Import softmax preference.pairs_of_scores.

(** The curvature sigma'(t) = sigma(t)(1 - sigma(t)). *)
Definition bend (t : R) : R := sg t * (1 - sg t).

Lemma bend_pos t : 0 < bend t.
Proof. unfold bend. pose proof (sg_pos t). pose proof (sg_lt_1 t). apply Rmult_lt_0_compat; lra. Qed.

Lemma derive_affine (f : R -> R) df a b z : is_derive f (a * z + b) df -> is_derive (fun z => f (a * z + b)) z (a * df).
Proof.
  intros H. evar_last; [apply (is_derive_comp f (fun z => a * z + b)); [exact H|auto_derive; auto]|].
  unfold scal. simpl. unfold mult. simpl. ring.
Qed.

(** [flat f c]: f(x, y) = sp(beta (y - x) + k) up to a constant; its slopes and its Hessian, and the Hessian's kernel. *)
Lemma margin_hessian beta k x y : 0 < beta ->
  let h := beta ^ 2 * bend (beta * (y - x) + k) in
  is_derive (fun x => sp (beta * (y - x) + k)) x (- beta * sg (beta * (y - x) + k))
  /\ is_derive (fun y => sp (beta * (y - x) + k)) y (beta * sg (beta * (y - x) + k))
  /\ is_derive (fun x => - beta * sg (beta * (y - x) + k)) x h
  /\ is_derive (fun y => - beta * sg (beta * (y - x) + k)) y (- h)
  /\ is_derive (fun x => beta * sg (beta * (y - x) + k)) x (- h)
  /\ is_derive (fun y => beta * sg (beta * (y - x) + k)) y h
  /\ 0 < h
  /\ (forall d e, h * d + - h * e = 0 /\ - h * d + h * e = 0 <-> d = e).
Proof.
  intros Hb h. assert (Ph : 0 < h).
  { unfold h. apply Rmult_lt_0_compat; [apply pow_lt; lra|apply bend_pos]. }
  assert (Sx : forall (f : R -> R) df, is_derive f (beta * (y - x) + k) df -> is_derive (fun x => f (beta * (y - x) + k)) x (- beta * df)).
  { intros f df H. assert (Eq : forall z, f (- beta * z + (beta * y + k)) = f (beta * (y - z) + k)) by (intros; f_equal; ring).
    apply (is_derive_ext _ _ _ _ Eq). apply derive_affine. replace (- beta * x + (beta * y + k)) with (beta * (y - x) + k) by ring. exact H. }
  assert (Sy : forall (f : R -> R) df, is_derive f (beta * (y - x) + k) df -> is_derive (fun y => f (beta * (y - x) + k)) y (beta * df)).
  { intros f df H. assert (Eq : forall z, f (beta * z + (- beta * x + k)) = f (beta * (z - x) + k)) by (intros; f_equal; ring).
    apply (is_derive_ext _ _ _ _ Eq). apply derive_affine. replace (beta * y + (- beta * x + k)) with (beta * (y - x) + k) by ring. exact H. }
  assert (DS : is_derive sg (beta * (y - x) + k) (bend (beta * (y - x) + k))) by apply derive_sg.
  split; [apply Sx; apply derive_sp|]. split; [apply Sy; apply derive_sp|].
  split; [replace h with (- beta * (- beta * bend (beta * (y - x) + k))) by (unfold h; ring);
    apply (is_derive_scal (fun x => sg (beta * (y - x) + k))); now apply Sx|].
  split; [replace (- h) with (- beta * (beta * bend (beta * (y - x) + k))) by (unfold h; ring);
    apply (is_derive_scal (fun y => sg (beta * (y - x) + k))); now apply Sy|].
  split; [replace (- h) with (beta * (- beta * bend (beta * (y - x) + k))) by (unfold h; ring);
    apply (is_derive_scal (fun x => sg (beta * (y - x) + k))); now apply Sx|].
  split; [replace h with (beta * (beta * bend (beta * (y - x) + k))) by (unfold h; ring);
    apply (is_derive_scal (fun y => sg (beta * (y - x) + k))); now apply Sy|].
  split; [exact Ph|]. intros d e. split; [intros [H _]; nra|intros ->; split; ring].
Qed.

(** (a) DPO does not change under z + c (1, 1); its Hessian is beta^2 sigma'(beta (z_w - z_l)) [[1, -1], [-1, 1]], with the
    kernel spanned by (1, 1). *)
Theorem dpo_flat_direction_a : forall beta zw zl : R, 0 < beta ->
  let h := beta ^ 2 * bend (beta * (zw - zl)) in
  (forall c, dpo (beta * (zw + c)) (beta * (zl + c)) = dpo (beta * zw) (beta * zl))
  /\ is_derive (fun x => dpo (beta * x) (beta * zl)) zw (- beta * sg (beta * (zl - zw)))
  /\ is_derive (fun y => dpo (beta * zw) (beta * y)) zl (beta * sg (beta * (zl - zw)))
  /\ is_derive (fun x => - beta * sg (beta * (zl - x))) zw h
  /\ is_derive (fun y => - beta * sg (beta * (y - zw))) zl (- h)
  /\ is_derive (fun x => beta * sg (beta * (zl - x))) zw (- h)
  /\ is_derive (fun y => beta * sg (beta * (y - zw))) zl h
  /\ 0 < h
  /\ (forall d e, h * d + - h * e = 0 /\ - h * d + h * e = 0 <-> d = e).
Proof.
  intros beta zw zl Hb h.
  destruct (margin_hessian beta 0 zw zl Hb) as [D1 [D2 [D3 [D4 [D5 [D6 [D7 D8]]]]]]].
  assert (B : bend (beta * (zl - zw) + 0) = bend (beta * (zw - zl))).
  { unfold bend. replace (beta * (zl - zw) + 0) with (- (beta * (zw - zl))) by ring. rewrite sg_neg. ring. }
  rewrite B in *. fold h in D3, D4, D5, D6, D7, D8.
  assert (Z1 : forall a b, beta * (a - b) + 0 = beta * (a - b)) by (intros; ring).
  split; [intros c; unfold dpo; f_equal; ring|].
  rewrite Z1 in D1, D2.
  split; [refine (is_derive_ext _ _ _ _ _ D1); intros t; unfold dpo; f_equal; ring|].
  split; [refine (is_derive_ext _ _ _ _ _ D2); intros t; unfold dpo; f_equal; ring|].
  split; [refine (is_derive_ext _ _ _ _ _ D3); intros t; now rewrite Z1|].
  split; [refine (is_derive_ext _ _ _ _ _ D4); intros t; now rewrite Z1|].
  split; [refine (is_derive_ext _ _ _ _ _ D5); intros t; now rewrite Z1|].
  split; [refine (is_derive_ext _ _ _ _ _ D6); intros t; now rewrite Z1|].
  split; auto.
Qed.

(** Minus DV on one pair at mix a, in the log-ratios. *)
Definition minus_dv (a beta zw zl : R) : R := - dv two chosen (mixed a chosen rejected) (pair_of (beta * zw) (beta * zl)).

Lemma minus_dv_margin a beta zw zl : 0 < a < 1 ->
  minus_dv a beta zw zl = ln (1 - a) + sp (beta * (zl - zw) + ln (a / (1 - a))).
Proof.
  intros Ha. unfold minus_dv, dv, mgf. rewrite !E_two. unfold mixed, chosen, rejected, pair_of, sp.
  pose proof (exp_pos (beta * zw)). pose proof (exp_pos (beta * zl)).
  rewrite exp_plus, exp_ln by (apply Rdiv_pos; lra).
  replace (((1 - a) * 1 + a * 0) * exp (beta * zw) + ((1 - a) * 0 + a * 1) * exp (beta * zl))
    with ((1 - a) * (exp (beta * zw) * (1 + exp (beta * (zl - zw)) * (a / (1 - a))))).
  - pose proof (exp_pos (beta * (zl - zw))). assert (0 < a / (1 - a)) by (apply Rdiv_pos; lra).
    assert (0 < exp (beta * (zl - zw)) * (a / (1 - a))) by now apply Rmult_lt_0_compat.
    rewrite !ln_mult, ln_exp; try lra. apply Rmult_lt_0_compat; lra.
  - replace (beta * (zl - zw)) with (beta * zl + - (beta * zw)) by ring. rewrite exp_plus, exp_Ropp. field. lra.
Qed.

(** InfoNCA on the responses of a list, the chosen one w: ln sum e^{beta z} - beta z_w. *)
Definition infonca {X} (l : list X) (w : X) (beta : R) (z : X -> R) : R :=
  ln (sum l (fun y => exp (beta * z y))) - beta * z w.

(** (b) Minus DV at every mix is as flat, with the same kernel; InfoNCA, with any number of rejected responses, has along
    d the slope beta (E_p d - d_w) and along d and e the second derivative beta^2 Cov_p(d, e), p the softmax of beta z,
    so its kernel is spanned by (1, ..., 1). *)
Theorem dpo_flat_direction_b :
  (forall a beta zw zl : R, 0 < a < 1 -> 0 < beta ->
     let k := ln (a / (1 - a)) in
     let h := beta ^ 2 * bend (beta * (zl - zw) + k) in
     (forall c, minus_dv a beta (zw + c) (zl + c) = minus_dv a beta zw zl)
     /\ is_derive (fun x => minus_dv a beta x zl) zw (- beta * sg (beta * (zl - zw) + k))
     /\ is_derive (fun y => minus_dv a beta zw y) zl (beta * sg (beta * (zl - zw) + k))
     /\ is_derive (fun x => - beta * sg (beta * (zl - x) + k)) zw h
     /\ is_derive (fun y => - beta * sg (beta * (y - zw) + k)) zl (- h)
     /\ is_derive (fun x => beta * sg (beta * (zl - x) + k)) zw (- h)
     /\ is_derive (fun y => beta * sg (beta * (y - zw) + k)) zl h
     /\ 0 < h
     /\ (forall d e, h * d + - h * e = 0 /\ - h * d + h * e = 0 <-> d = e))
  /\ (forall (X : Type) (l : list X) (w : X) (beta : R) (z : X -> R), l <> [] -> 0 < beta ->
     let p := fun s d => soft l (along (fun x => beta * z x) (fun x => beta * d x) s) in
     (forall c, infonca l w beta (fun x => z x + c) = infonca l w beta z)
     /\ (forall d s, is_derive (fun s => infonca l w beta (fun x => z x + s * d x)) s (beta * (E l (p s d) d - d w)))
     /\ (forall d e s, is_derive (fun s => beta * (E l (p s e) d - d w)) s
           (beta ^ 2 * E l (p s e) (fun x => (e x - E l (p s e) e) * d x)))
     /\ (forall e s, (forall d, E l (p s e) (fun x => (e x - E l (p s e) e) * d x) = 0) <-> forall x, In x l -> e x = E l (p s e) e)).
Proof.
  split.
  - intros a beta zw zl Ha Hb k h.
    destruct (margin_hessian beta k zw zl Hb) as [D1 [D2 [D3 [D4 [D5 [D6 [D7 D8]]]]]]].
    assert (Add : forall (f : R -> R) x d, is_derive f x d -> is_derive (fun t => ln (1 - a) + f t) x d).
    { intros f x d H. replace d with (0 + d) by ring. apply (is_derive_plus (fun _ => ln (1 - a)) f); [apply @is_derive_const|exact H]. }
    split; [intros c; rewrite !minus_dv_margin by auto; do 3 f_equal; ring|].
    split; [apply Add in D1; refine (is_derive_ext _ _ _ _ _ D1); intros t; now rewrite minus_dv_margin|].
    split; [apply Add in D2; refine (is_derive_ext _ _ _ _ _ D2); intros t; now rewrite minus_dv_margin|].
    auto 10.
  - intros X l w beta z NE Hb p. split; [|split; [|split]].
    + intros c. unfold infonca.
      rewrite (sum_ext l _ (fun y => exp (beta * c) * exp (beta * z y))) by (intros; rewrite <- exp_plus; f_equal; ring).
      rewrite sum_scal, ln_mult, ln_exp; [ring|apply exp_pos|exact (soft_sum_pos l NE (fun y => beta * z y))].
    + intros d s.
      assert (Eq : forall t, ln (sum l (fun y => exp (along (fun x => beta * z x) (fun x => beta * d x) t y))) - (beta * z w + t * (beta * d w))
        = infonca l w beta (fun x => z x + t * d x)).
      { intros t. unfold infonca, along. f_equal; [|ring]. f_equal. apply sum_ext. intros; f_equal; ring. }
      apply (is_derive_ext _ _ _ _ Eq).
      evar_last; [apply @is_derive_minus; [apply derive_log_sum; auto|auto_derive; auto; reflexivity]|].
      unfold minus, plus, opp. simpl. fold (p s d). rewrite E_scal. ring.
    + intros d e s. evar_last.
      * apply is_derive_scal. apply @is_derive_minus; [apply derive_mean; auto|apply @is_derive_const].
      * unfold minus, plus, opp, zero. simpl. fold (p s e). rewrite E_scal.
        rewrite (E_ext l (p s e) _ (fun x => beta * ((e x - E l (p s e) e) * d x))) by (intros; ring). rewrite E_scal. ring.
    + intros e s. split.
      * intros H x Hx. specialize (H (fun x => e x - E l (p s e) e)).
        pose proof (sum_nonneg_0 l (fun x => p s e x * ((e x - E l (p s e) e) * (e x - E l (p s e) e)))) as S0.
        assert (Px : 0 < p s e x) by (apply soft_pos; auto).
        assert (Q : p s e x * ((e x - E l (p s e) e) * (e x - E l (p s e) e)) = 0).
        { apply S0; auto. intros y Hy. assert (0 < p s e y) by (apply soft_pos; auto).
          apply Rmult_le_pos; [lra|]. apply Rle_0_sqr. }
        apply Rmult_integral in Q. destruct Q as [Q|Q]; [lra|]. apply Rmult_integral in Q. destruct Q; lra.
      * intros H d. unfold E at 1. rewrite <- (sum_0 l). apply sum_ext. intros x Hx. rewrite (H x Hx) at 1. ring.
Qed.

(** (c) L_a has the Hessian diag(beta^2 (2 - a) sigma'(beta z_w), a beta^2 sigma'(beta z_l)), positive definite everywhere. *)
Theorem dpo_flat_direction_c : forall a beta zw zl : R, 0 < a < 1 -> 0 < beta ->
  let L := fun x y => js_loss a (beta * x) (beta * y) in
  let hw := beta ^ 2 * ((2 - a) * bend (beta * zw)) in
  let hl := beta ^ 2 * (a * bend (beta * zl)) in
  (forall x y, is_derive (fun x => L x y) x (beta * ((2 - a) * sg (beta * x) - 1)))
  /\ (forall x y, is_derive (fun y => L x y) y (beta * (a * sg (beta * y))))
  /\ is_derive (fun x => beta * ((2 - a) * sg (beta * x) - 1)) zw hw
  /\ is_derive (fun y => beta * (a * sg (beta * y))) zl hl
  /\ 0 < hw /\ 0 < hl
  /\ (forall d e, (d, e) <> (0, 0) -> 0 < hw * d ^ 2 + 2 * 0 * d * e + hl * e ^ 2).
Proof.
  intros a beta zw zl Ha Hb L hw hl.
  assert (Pw : 0 < hw) by (apply Rmult_lt_0_compat; [apply pow_lt; lra|apply Rmult_lt_0_compat; [lra|apply bend_pos]]).
  assert (Pl : 0 < hl) by (apply Rmult_lt_0_compat; [apply pow_lt; lra|apply Rmult_lt_0_compat; [lra|apply bend_pos]]).
  assert (Lin : forall (f : R -> R) df z, is_derive f (beta * z) df -> is_derive (fun z => f (beta * z)) z (beta * df)).
  { intros f df z H. assert (Eq : forall t, f (beta * t + 0) = f (beta * t)) by (intros; f_equal; ring).
    apply (is_derive_ext _ _ _ _ Eq). apply derive_affine. rewrite Rplus_0_r. exact H. }
  split; [|split; [|split; [|split; [|split; [exact Pw|split; [exact Pl|]]]]]].
  - intros x y. apply (Lin (fun u => js_loss a u (beta * y))).
    replace ((2 - a) * sg (beta * x) - 1) with ((2 - a) * sg (beta * x) - 1 + 0) by ring.
    apply (is_derive_plus (own a) (fun _ => a * sp (beta * y))); [apply derive_own|apply @is_derive_const].
  - intros x y. apply (Lin (fun v => js_loss a (beta * x) v)).
    replace (a * sg (beta * y)) with (0 + a * sg (beta * y)) by ring.
    apply (is_derive_plus (fun _ => own a (beta * x)) (fun v => a * sp v)); [apply @is_derive_const|].
    apply is_derive_scal. apply derive_sp.
  - evar_last; [apply is_derive_scal; apply @is_derive_minus; [apply is_derive_scal; apply (Lin sg); apply derive_sg|apply @is_derive_const]|].
    unfold minus, plus, opp, zero, hw, bend. simpl. ring.
  - evar_last; [apply is_derive_scal; apply is_derive_scal; apply (Lin sg); apply derive_sg|]. unfold hl, bend. ring.
  - intros d e N. assert (0 <= d ^ 2) by apply pow2_ge_0. assert (0 <= e ^ 2) by apply pow2_ge_0.
    destruct (Req_dec d 0) as [->|Nd].
    + assert (Ne : e <> 0) by (intros ->; now apply N). assert (0 < e ^ 2) by (apply pow2_gt_0; auto). nra.
    + assert (0 < d ^ 2) by (apply pow2_gt_0; auto). nra.
Qed.
