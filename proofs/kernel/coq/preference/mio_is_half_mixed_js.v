(** MIO is JS on half-mixed pairs, and the same as pairwise NCA. *)
From MI Require Import pairs preference.pairs_of_scores bounds.js_value_and_gap.

(** (a) For one pair L_a = 2 ln 2 - JS, critic T = beta z, positive z_w, negatives z_w, z_l of weights 1 - a and a. *)
Theorem mio_is_half_mixed_js_a : forall a beta zw zl : R, 0 < a <= 1 -> 0 < beta ->
  js_loss a (beta * zw) (beta * zl)
    = 2 * ln 2 - js two chosen (mixed a chosen rejected) (pair_of (beta * zw) (beta * zl)).
Proof.
  intros a beta zw zl Ha Hb. rewrite js_of_mixed, !E_two. unfold chosen, rejected, pair_of, js_loss, own. ring.
Qed.

(** (b) Over any joint law A of pairs with the marginals P and R, E L_a = 2 ln 2 - JS(P, Q_a; T) >= 2 ln 2 - 2 JSD(P, Q_a);
    where P has mass at every response, with equality iff T = ln dP/dQ_a. *)
Theorem mio_is_half_mixed_js_b : forall (X : Type) (l : list X) (A : X * X -> R) (T : X -> R) (a : R),
  law (list_prod l l) A -> 0 < a <= 1 ->
  let P := fst_law l A in
  let Q := mixed a P (snd_law l A) in
  let mean_loss := E (list_prod l l) A (fun c => js_loss a (T (fst c)) (T (snd c))) in
  mean_loss = 2 * ln 2 - js l P Q T
  /\ 2 * ln 2 - 2 * jsd l P Q <= mean_loss
  /\ (full l P -> full l (snd_law l A) ->
      (mean_loss = 2 * ln 2 - 2 * jsd l P Q <-> forall x, In x l -> T x = ln (P x / Q x))).
Proof.
  intros X l A T a LA Ha P Q mean_loss.
  assert (LP : law l P) by now apply law_fst. assert (LR : law l (snd_law l A)) by now apply law_snd.
  assert (LQ : law l Q) by (apply law_mixed; auto; lra).
  assert (M : mean_loss = 2 * ln 2 - js l P Q T).
  { unfold Q. rewrite js_of_mixed. unfold mean_loss.
    rewrite (E_ext _ _ _ (fun c => own a (T (fst c)) + a * sp (T (snd c)))) by reflexivity.
    rewrite E_plus, E_scal, (E_fst l l A (fun x => own a (T x))), (E_snd l l A (fun x => sp (T x))).
    unfold P. ring. }
  destruct (js_value_and_gap_a X l P Q T LP LQ) as [_ [G0 G1]].
  split; [exact M|]. split; [lra|]. intros F1 F2.
  assert (FQ : full l Q).
  { intros x Hx. specialize (F1 x Hx). specialize (F2 x Hx). unfold Q, mixed. nra. }
  split.
  - intros Eq x Hx. destruct G1 as [G1 _]. specialize (F1 x Hx). specialize (FQ x Hx).
    apply (G1 ltac:(lra) x Hx ltac:(lra)).
  - intros H. destruct G1 as [_ G1]. rewrite M.
    enough (2 * jsd l P Q - js l P Q T = 0) by lra. apply G1. intros x Hx _.
    split; [now apply F1|]. split; [now apply FQ|]. now apply H.
Qed.

(** (c) L_(1/2) is pairwise NCA, term for term. *)
Theorem mio_is_half_mixed_js_c : forall beta zw zl : R,
  sp (- (beta * zw)) = - ln (sg (beta * zw))
  /\ 1/2 * sp (beta * zw) = - (1/2) * ln (sg (- (beta * zw)))
  /\ 1/2 * sp (beta * zl) = - (1/2) * ln (sg (- (beta * zl)))
  /\ js_loss (1/2) (beta * zw) (beta * zl)
     = - ln (sg (beta * zw)) - 1/2 * ln (sg (- (beta * zw))) - 1/2 * ln (sg (- (beta * zl))).
Proof.
  intros. unfold js_loss. rewrite !ln_sg, !Ropp_involutive. repeat split; field.
Qed.

(** (d) At z = 0, L_a = 2 ln 2 for every a, and the gradient of L_(1/2) is half of DPO's. *)
Theorem mio_is_half_mixed_js_d : forall beta : R, 0 < beta ->
  (forall a, js_loss a (beta * 0) (beta * 0) = 2 * ln 2)
  /\ is_derive (fun z => dpo (beta * z) (beta * 0)) 0 (- beta / 2)
  /\ is_derive (fun z => dpo (beta * 0) (beta * z)) 0 (beta / 2)
  /\ is_derive (fun z => js_loss (1/2) (beta * z) (beta * 0)) 0 (1/2 * (- beta / 2))
  /\ is_derive (fun z => js_loss (1/2) (beta * 0) (beta * z)) 0 (1/2 * (beta / 2)).
Proof.
  intros beta Hb. split; [intros a; rewrite Rmult_0_r; apply js_loss_0|].
  unfold dpo, js_loss, sp. split; [|split; [|split]]; auto_derive; rewrite ?Rmult_0_r, ?Rminus_0_r, ?Ropp_0, ?exp_0;
    rewrite ?Rplus_0_r, ?exp_0; repeat split; lra.
Qed.
