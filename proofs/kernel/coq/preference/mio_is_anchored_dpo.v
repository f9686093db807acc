(** The JS family's loss is a times DPO plus a wall in DPO's flat direction plus a pin of the chosen reward, exactly. *)
From MI Require Import preference.pairs_of_scores.

Definition wall (s m : R) : R := ln (1 + cosh s / cosh (m / 2)).
Definition pin (u : R) : R := 2 * ln (2 * cosh (u / 2)).

Lemma cosh_pos x : 0 < cosh x.
Proof. unfold cosh. pose proof (exp_pos x). pose proof (exp_pos (- x)). lra. Qed.

Lemma pin_alt u : pin u = sp u + sp (- u).
Proof.
  unfold pin, cosh. rewrite sp_minus. unfold sp.
  pose proof (exp_pos (u / 2)). pose proof (exp_pos (- (u / 2))).
  replace (2 * ((exp (u / 2) + exp (- (u / 2))) / 2)) with ((1 + exp u) / exp (u / 2)).
  - pose proof (exp_pos u). rewrite ln_div, ln_exp by lra. field.
  - replace u with (u / 2 + u / 2) at 1 by field. rewrite exp_plus, exp_Ropp. field. lra.
Qed.

(** (a) Exactly, for every pair of rewards. *)
Theorem mio_is_anchored_dpo_a : forall a u v : R, 0 < a < 1 ->
  let m := u - v in let s := (u + v) / 2 in
  js_loss a u v = a * sp (- m) + a * ln (1 + cosh s / cosh (m / 2)) + (1 - a) * (2 * ln (2 * cosh (u / 2))).
Proof.
  intros a u v Ha m s. fold (pin u). rewrite pin_alt. unfold js_loss.
  assert (H : sp (- u) + sp v = sp (- m) + ln (1 + cosh s / cosh (m / 2))); [|nra].
  pose proof (cosh_pos s). pose proof (cosh_pos (m / 2)).
  assert (0 < cosh s / cosh (m / 2)) by now apply Rdiv_pos.
  unfold sp. pose proof (exp_pos (- u)). pose proof (exp_pos v). pose proof (exp_pos (- m)).
  rewrite <- !ln_mult; try lra. f_equal. unfold cosh.
  pose proof (exp_pos s). pose proof (exp_pos (- s)). pose proof (exp_pos (m / 2)). pose proof (exp_pos (- (m / 2))).
  (* in x = e^{u/2} and y = e^{v/2} *)
  replace (- u) with (- (u / 2) + - (u / 2)) by field. replace v with (v / 2 + v / 2) at 1 by field.
  replace (exp (- m)) with (exp (- (u / 2) + - (u / 2) + v / 2 + v / 2)) by (f_equal; unfold m; field).
  replace (exp s) with (exp (u / 2 + v / 2)) by (f_equal; unfold s; field).
  replace (exp (- s)) with (exp (- (u / 2) + - (v / 2))) by (f_equal; unfold s; field).
  replace (exp (m / 2)) with (exp (u / 2 + - (v / 2))) by (f_equal; unfold m; field).
  replace (exp (- (m / 2))) with (exp (- (u / 2) + v / 2)) by (f_equal; unfold m; field).
  rewrite !exp_plus, !exp_Ropp. pose proof (exp_pos (u / 2)). pose proof (exp_pos (v / 2)).
  field. split; [lra|]. split; [lra|].
  assert (0 < exp (u / 2) * exp (u / 2)) by nra. assert (0 < exp (v / 2) * exp (v / 2)) by nra. nra.
Qed.

(** (b) Both are flat at the start and strictly convex: the wall in s at every margin, the pin in u, whose least value is
    2 ln 2 at 0; at m = 0 the wall has no slope in m. At the start the slopes in u and v are those of a DPO. *)
Theorem mio_is_anchored_dpo_b :
  (forall m, is_derive (fun s => wall s m) 0 0)
  /\ (forall m s, is_derive (fun s => wall s m) s (sinh s / (cosh (m / 2) + cosh s)))
  /\ (forall m s, is_derive (fun s => sinh s / (cosh (m / 2) + cosh s)) s
        ((1 + cosh (m / 2) * cosh s) / (cosh (m / 2) + cosh s) ^ 2)
        /\ 0 < (1 + cosh (m / 2) * cosh s) / (cosh (m / 2) + cosh s) ^ 2)
  /\ (forall s, is_derive (fun m => wall s m) 0 0)
  /\ (forall u, is_derive pin u (2 * sg u - 1) /\ is_derive (fun u => 2 * sg u - 1) u (2 * (sg u * (1 - sg u)))
        /\ 0 < 2 * (sg u * (1 - sg u)))
  /\ is_derive pin 0 0
  /\ (forall u, u <> 0 -> 2 * ln 2 < pin u) /\ pin 0 = 2 * ln 2
  /\ (forall a, 0 < a < 1 -> is_derive (fun u => js_loss a u 0) 0 (a * (- 1/2)) /\ is_derive (fun v => js_loss a 0 v) 0 (a * (1/2)))
  /\ is_derive (fun u => dpo u 0) 0 (- 1/2) /\ is_derive (fun v => dpo 0 v) 0 (1/2).
Proof.
  assert (W : forall m s, is_derive (fun s => wall s m) s (sinh s / (cosh (m / 2) + cosh s))).
  { intros m s. unfold wall. pose proof (cosh_pos s) as H1. pose proof (cosh_pos (m / 2)) as H2.
    assert (0 < cosh s / cosh (m / 2)) by now apply Rdiv_pos.
    set (c := cosh (m / 2)) in *. unfold cosh at 1. unfold cosh in H1, H |- *. unfold sinh.
    auto_derive; [lra|]. field. lra. }
  assert (P : forall u, is_derive pin u (2 * sg u - 1)).
  { intros u. assert (H : forall t, 2 * sp t - t = pin t) by (intros t; rewrite pin_alt, sp_minus; ring).
    apply (is_derive_ext _ _ _ _ H).
    apply @is_derive_minus; [|apply @is_derive_id]. apply is_derive_scal. apply derive_sp. }
  assert (P0 : pin 0 = 2 * ln 2) by (rewrite pin_alt, Ropp_0, sp_0; ring).
  split; [|split; [exact W|split; [|split; [|split; [|split; [|split; [|split; [exact P0|split; [|split]]]]]]]]].
  - intros m. replace 0 with (sinh 0 / (cosh (m / 2) + cosh 0)) at 2 by (rewrite sinh_0; unfold Rdiv; ring). apply W.
  - intros m s. pose proof (cosh_pos s) as H1. pose proof (cosh_pos (m / 2)) as H2.
    set (c := cosh (m / 2)) in *. split.
    + unfold cosh, sinh in *. auto_derive; [lra|].
      pose proof (exp_pos s). assert (I : exp (- s) = / exp s) by apply exp_Ropp. rewrite I in *. field.
      split; [lra|]. nra.
    + apply Rdiv_pos; [nra|]. apply pow_lt. lra.
  - intros s. unfold wall. pose proof (cosh_pos s) as H1. generalize dependent (cosh s). intros c H1. unfold cosh.
    assert (0 < c * / ((1 + 1) * / 2)) by (apply Rmult_lt_0_compat; auto; lra).
    auto_derive; unfold Rdiv; rewrite ?Rmult_0_l, ?Ropp_0, ?exp_0; [repeat split; lra|lra].
  - intros u. pose proof (sg_pos u). pose proof (sg_lt_1 u). split; [apply P|]. split; [|nra].
    assert (H1 : forall t, 2 * sg t + - 1 = 2 * sg t - 1) by (intros; ring).
    apply (is_derive_ext _ _ _ _ H1).
    replace (2 * (sg u * (1 - sg u))) with (2 * (sg u * (1 - sg u)) + 0) by ring.
    apply @is_derive_plus; [|apply @is_derive_const]. apply is_derive_scal. apply derive_sg.
  - replace 0 with (2 * sg 0 - 1) at 2 by (rewrite sg_0; lra). apply P.
  - intros u N. rewrite pin_alt, sp_minus. pose proof (sp_tangent_lt u 0 N). rewrite sp_0, sg_0 in H. lra.
  - intros a Ha. split.
    + replace (a * (- 1 / 2)) with ((2 - a) * sg 0 - 1 + 0) by (rewrite sg_0; lra).
      unfold js_loss. apply (is_derive_plus (own a) (fun _ => a * sp 0)); [apply derive_own|apply @is_derive_const].
    + replace (a * (1 / 2)) with (0 + a * sg 0) by (rewrite sg_0; lra).
      unfold js_loss. apply (is_derive_plus (fun _ => own a 0) (fun v => a * sp v)); [apply @is_derive_const|].
      apply is_derive_scal. apply derive_sp.
  - unfold dpo, sp. auto_derive; replace (0 + - 0) with 0 by ring; rewrite exp_0; lra.
  - unfold dpo, sp. auto_derive; replace (0 + - 0) with 0 by ring; rewrite exp_0; lra.
Qed.

(** (c) An SFT term -lam u has the slope -lam everywhere and no minimum. DPO with it has a mixed second derivative,
    which L_a lacks; so no mix of DPO and SFT is L_a up to a constant. *)
Theorem mio_is_anchored_dpo_c :
  (forall lam u, is_derive (fun u => - lam * u) u (- lam))
  /\ (forall lam, 0 < lam -> forall b, exists u, - lam * u < b)
  /\ (forall c lam u v, is_derive (fun u => c * dpo u v - lam * u) u (- c * sg (v - u) - lam)
       /\ is_derive (fun v => - c * sg (v - u) - lam) v (- c * (sg (v - u) * (1 - sg (v - u))))
       /\ (0 < c -> - c * (sg (v - u) * (1 - sg (v - u))) < 0))
  /\ (forall a u v, is_derive (fun u => js_loss a u v) u ((2 - a) * sg u - 1))
  /\ (forall a c lam k, 0 < a < 1 -> ~ (forall u v, js_loss a u v = c * dpo u v - lam * u + k)).
Proof.
  split; [|split; [|split; [|split]]].
  - intros. auto_derive; auto. ring.
  - intros lam H b. exists (1 - b / lam). replace (- lam * (1 - b / lam)) with (b - lam) by (field; lra). lra.
  - intros c lam u v. pose proof (sg_pos (v - u)). pose proof (sg_lt_1 (v - u)). pose proof (exp_pos (v - u)).
    assert (0 < sg (v - u) * (1 - sg (v - u))) by (apply Rmult_lt_0_compat; lra).
    split; [|split; [|intros; nra]].
    + unfold dpo, sp. auto_derive; [replace (v + - u) with (v - u) by ring; lra|].
      replace (v + - u) with (v - u) by ring. rewrite sg_alt. field. lra.
    + unfold sg. pose proof (exp_pos (- (v - u))).
      auto_derive; replace (v + - u) with (v - u) by ring; [lra|]. field. lra.
  - intros a u v. replace ((2 - a) * sg u - 1) with ((2 - a) * sg u - 1 + 0) by ring.
    unfold js_loss. apply (is_derive_plus (own a) (fun _ => a * sp v)); [apply derive_own|apply @is_derive_const].
  - intros a c lam k Ha H.
    (* at (0,0), (t,0), (0,t), (t,t): the mixed difference of L_a is 0, that of c dpo is c (2 ln 2 - sp(t) - sp(-t)) *)
    pose proof (H 0 0) as H1. pose proof (H 1 0) as H2. pose proof (H 0 1) as H3. pose proof (H 1 1) as H4.
    unfold js_loss, dpo in *.
    replace (0 - 0) with 0 in * by ring. replace (1 - 1) with 0 in * by ring.
    replace (1 - 0) with 1 in * by ring. replace (0 - 1) with (-1) in * by ring.
    assert (C : c * (2 * sp 0 - sp 1 - sp (-1)) = 0) by lra.
    assert (S : 2 * sp 0 < sp 1 + sp (-1)).
    { pose proof (sp_tangent_lt 1 0 ltac:(lra)). pose proof (sp_tangent_lt (-1) 0 ltac:(lra)). lra. }
    assert (c = 0) by (apply Rmult_integral in C; destruct C; lra). subst c.
    (* then v does not enter: a sp(1) = a sp(0) *)
    pose proof (sp_increasing 0 1 ltac:(lra)). nra.
Qed.
