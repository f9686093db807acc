(** Labels flipped at the rate eta keep MIO's order; its anchor is ln 2(1 - eta), and eta is read off the plateau. *)
From MI Require Import preference.pairs_of_scores bounds.js_value_and_gap.

(** The law of what the labels call chosen: (1 - eta) p + eta r. *)
Definition noisy {X} (eta : R) (p r : X -> R) (x : X) : R := (1 - eta) * p x + eta * r x.

(** The JS family's best score at a win rate w. *)
Definition score (a w : R) : R := ln (w / ((1 - a) * w + a * (1 - w))).

Lemma score_rises a v w : 0 < a < 1 -> 0 < v -> v < w -> w < 1 -> score a v < score a w.
Proof.
  intros Ha Hv H Hw. assert (P1 : 0 < (1 - a) * v + a * (1 - v)) by nra. assert (P2 : 0 < (1 - a) * w + a * (1 - w)) by nra.
  apply ln_increasing; [apply Rdiv_pos; lra|].
  apply (Rmult_lt_reg_r (((1 - a) * v + a * (1 - v)) * ((1 - a) * w + a * (1 - w)))); [now apply Rmult_lt_0_compat|].
  replace (v / ((1 - a) * v + a * (1 - v)) * (((1 - a) * v + a * (1 - v)) * ((1 - a) * w + a * (1 - w))))
    with (v * ((1 - a) * w + a * (1 - w))) by (field; lra).
  replace (w / ((1 - a) * w + a * (1 - w)) * (((1 - a) * v + a * (1 - v)) * ((1 - a) * w + a * (1 - w))))
    with (w * ((1 - a) * v + a * (1 - v))) by (field; lra).
  nra.
Qed.

(** (a) The half-mix does not change, and at another mix only where P = R; win rates shrink towards 1/2 by 1 - 2 eta, and
    scores keep their order. *)
Theorem label_noise_a : forall (X : Type) (p r nu w : X -> R) (eta a : R),
  0 < eta < 1/2 -> 0 < a < 1 ->
  (forall x, p x = 2 * w x * nu x) -> (forall x, r x = 2 * (1 - w x) * nu x) ->
  let w' := fun x => eta + (1 - 2 * eta) * w x in
  (forall x, mixed (1/2) (noisy eta p r) (noisy eta r p) x = mixed (1/2) p r x)
  /\ (a <> 1/2 -> forall x, mixed a (noisy eta p r) (noisy eta r p) x = mixed a p r x <-> p x = r x)
  /\ (forall x, noisy eta p r x = 2 * w' x * nu x /\ noisy eta r p x = 2 * (1 - w' x) * nu x)
  /\ (forall x, w' x - 1/2 = (1 - 2 * eta) * (w x - 1/2))
  /\ (forall x y, 0 < w x < 1 -> 0 < w y < 1 ->
        (w x < w y <-> w' x < w' y) /\ (w x < w y <-> score a (w' x) < score a (w' y))).
Proof.
  intros X p r nu w eta a He Ha Hp Hr w'. split; [|split; [|split; [|split]]].
  - intros x. unfold mixed, noisy. field.
  - intros N x. unfold mixed, noisy. split; intros H.
    + assert (eta * (1 - 2 * a) * (r x - p x) = 0) by lra.
      apply Rmult_integral in H0. destruct H0 as [H0|H0]; [|lra].
      apply Rmult_integral in H0. destruct H0; lra.
    + rewrite H. ring.
  - intros x. unfold noisy, w'. rewrite Hp, Hr. split; ring.
  - intros x. unfold w'. field.
  - intros x y Hx Hy. assert (M : forall v z, v < z <-> eta + (1 - 2 * eta) * v < eta + (1 - 2 * eta) * z) by (intros; split; nra).
    split; [apply M|]. rewrite (M (w x) (w y)). fold (w' x) (w' y).
    assert (Bx : 0 < w' x < 1) by (unfold w'; nra). assert (By : 0 < w' y < 1) by (unfold w'; nra).
    split; intros H; [now apply score_rises|].
    destruct (Rtotal_order (w' x) (w' y)) as [|[C|C]]; auto; exfalso.
    + rewrite C in H. lra.
    + pose proof (score_rises a (w' y) (w' x) Ha (proj1 By) C (proj2 Bx)). lra.
Qed.

(** (b) With nu = ref, a = 1/2, beta = 1: among the laws of full support the noisy loss is least at (1 - 2 eta) P + 2 eta
    ref, and there only; the KL that it pays falls by the factor 1 - 2 eta or more. *)
Theorem label_noise_b : forall (X : Type) (l : list X) (ref w : X -> R) (eta : R),
  0 < eta < 1/2 -> law l ref -> full l ref -> (forall x, In x l -> 0 <= w x <= 1) ->
  let p := fun x => 2 * w x * ref x in
  let r := fun x => 2 * (1 - w x) * ref x in
  law l p ->
  let best := fun x => (1 - 2 * eta) * p x + 2 * eta * ref x in
  let T := fun (policy : X -> R) x => ln (policy x / ref x) in
  let loss := fun policy => 2 * ln 2 - js l (noisy eta p r) (mixed (1/2) (noisy eta p r) (noisy eta r p)) (T policy) in
  law l best /\ full l best
  /\ (forall policy, loss policy = E l (noisy eta p r) (fun x => own (1/2) (T policy x)) + 1/2 * E l (noisy eta r p) (fun x => sp (T policy x)))
  /\ (forall policy, law l policy -> full l policy ->
        loss best <= loss policy /\ (loss policy = loss best <-> same l policy best))
  /\ kl l best ref <= (1 - 2 * eta) * kl l p ref
  /\ (0 < kl l p ref -> kl l best ref < kl l p ref).
Proof.
  intros X l ref w eta He Lr Fr Hw p r Lp best T loss.
  assert (Fb : full l best).
  { intros x Hx. specialize (Fr x Hx). destruct Lp as [Np _]. pose proof (Np x Hx). unfold best. nra. }
  assert (Lb : law l best).
  { split; [intros x Hx; left; now apply Fb|]. unfold best. rewrite sum_plus, !sum_scal.
    destruct Lp as [_ ->]. destruct Lr as [_ ->]. ring. }
  assert (Nb : forall x, noisy eta p r x = best x) by (intros; unfold noisy, best, p, r; ring).
  assert (Mb : forall x, mixed (1/2) (noisy eta p r) (noisy eta r p) x = ref x) by (intros; unfold mixed, noisy, p, r; field).
  assert (Loss : forall policy, loss policy = 2 * ln 2 - js l best ref (T policy)).
  { intros. unfold loss, js. f_equal. f_equal; [f_equal|]; apply sum_ext; intros; [now rewrite Nb|now rewrite Mb]. }
  split; [auto|]. split; [auto|]. split; [|split; [|]].
  - intros policy. unfold loss. rewrite js_of_mixed. ring.
  - intros policy Lpi Fpi.
    destruct (js_value_and_gap_a X l best ref (T policy) Lb Lr) as [_ [G0 G1]].
    destruct (js_value_and_gap_a X l best ref (T best) Lb Lr) as [_ [_ G2]].
    assert (B0 : 2 * jsd l best ref - js l best ref (T best) = 0).
    { apply G2. intros x Hx _. split; [now apply Fb|]. split; [now apply Fr|reflexivity]. }
    rewrite !Loss. split; [lra|]. split.
    + intros Eq x Hx. destruct (proj1 G1 ltac:(lra) x Hx) as [_ [_ E1]].
      { pose proof (Fb x Hx). pose proof (Fr x Hx). lra. }
      unfold T in E1. pose proof (Fb x Hx). pose proof (Fr x Hx). pose proof (Fpi x Hx).
      apply ln_inv in E1; try now apply Rdiv_pos.
      apply (Rmult_eq_reg_r (/ ref x)); [exact E1|]. apply Rinv_neq_0_compat. lra.
    + intros S. enough (2 * jsd l best ref - js l best ref (T policy) = 0) by lra.
      apply G1. intros x Hx _. split; [now apply Fb|]. split; [now apply Fr|]. unfold T. now rewrite (S x Hx).
  - assert (K : kl l best ref <= (1 - 2 * eta) * kl l p ref).
    { unfold kl. rewrite <- sum_scal. apply sum_le. intros x Hx. pose proof (Fr x Hx) as R1. pose proof (Fb x Hx) as B1.
      destruct Lp as [Np _]. destruct (Np x Hx) as [P1|P1].
      - assert (I1 : ln (ref x / (best x)) >= - ln (best x / ref x)) by (rewrite !ln_div; lra).
        (* x ln x is convex: best ln(best/ref) <= (1 - 2 eta) p ln(p/ref) + 2 eta ref ln 1 *)
        pose proof (gibbs_atom (p x) (best x) ltac:(lra) ltac:(lra) ltac:(lra)) as Q1.
        pose proof (gibbs_atom (ref x) (best x) ltac:(lra) ltac:(lra) ltac:(lra)) as Q2.
        rewrite !ln_div in * by auto.
        assert (D : best x = (1 - 2 * eta) * p x + 2 * eta * ref x) by reflexivity.
        set (lb := ln (best x)) in *. set (lp := ln (p x)) in *. set (lr := ln (ref x)) in *.
        apply (Rmult_le_compat_l (1 - 2 * eta)) in Q1; [|lra]. apply (Rmult_le_compat_l (2 * eta)) in Q2; [|lra].
        replace (best x * (lb - lr)) with ((1 - 2 * eta) * (p x * (lb - lr)) + 2 * eta * (ref x * (lb - lr))) by (rewrite D; ring).
        nra.
      - rewrite <- P1. unfold best. rewrite <- P1, Rmult_0_r, Rplus_0_l.
        replace (2 * eta * ref x / ref x) with (2 * eta) by (field; lra).
        pose proof (ln_neg (2 * eta) ltac:(lra)). assert (0 < 2 * eta * ref x) by nra. nra. }
    split; [exact K|]. intros H. nra.
Qed.

(** The best score of a response of masses c (chosen law) and d (mixed law) is ln(c/d), and no other. *)
Lemma best_score c d t : 0 < c -> 0 < d -> t <> ln (c / d) ->
  c * sp (- ln (c / d)) + d * sp (ln (c / d)) < c * sp (- t) + d * sp t.
Proof.
  intros Hc Hd N. rewrite !sp_minus. pose proof (sp_tangent_lt t (ln (c / d)) N).
  assert (S : sg (ln (c / d)) * (c + d) = c).
  { unfold sg. rewrite exp_Ropp, exp_ln by now apply Rdiv_pos. field. lra. }
  assert ((sp (ln (c / d)) + sg (ln (c / d)) * (t - ln (c / d))) * (c + d) < sp t * (c + d)) by (apply Rmult_lt_compat_r; lra).
  nra.
Qed.

(** (c) Where P and R share no response the best scores are finite on both sides (x on the chosen one, y on the rejected
    one); MIO: ln 2(1 - eta) and ln 2 eta, with DPO's own margin, and eta = e^y/2; at a = 1 the margin is twice
    DPO's. The means over what the labels call chosen and rejected add up to s = ln 4 eta(1 - eta). *)
Theorem label_noise_c : forall eta : R, 0 < eta < 1/2 ->
  let x := fun a => ln ((1 - eta) / ((1 - a) * (1 - eta) + a * eta)) in
  let y := fun a => ln (eta / ((1 - a) * eta + a * (1 - eta))) in
  (forall (a m t : R), 0 < a <= 1 -> 0 < m ->
     (t <> x a -> (1 - eta) * m * sp (- x a) + ((1 - a) * ((1 - eta) * m) + a * (eta * m)) * sp (x a)
        < (1 - eta) * m * sp (- t) + ((1 - a) * ((1 - eta) * m) + a * (eta * m)) * sp t)
     /\ (t <> y a -> eta * m * sp (- y a) + ((1 - a) * (eta * m) + a * ((1 - eta) * m)) * sp (y a)
        < eta * m * sp (- t) + ((1 - a) * (eta * m) + a * ((1 - eta) * m)) * sp t))
  /\ x (1/2) = ln (2 * (1 - eta)) /\ y (1/2) = ln (2 * eta) /\ eta = exp (y (1/2)) / 2
  /\ x (1/2) - y (1/2) = ln ((1 - eta) / eta)
  /\ (forall t, t <> ln ((1 - eta) / eta) ->
        (1 - eta) * sp (- ln ((1 - eta) / eta)) + eta * sp (ln ((1 - eta) / eta)) < (1 - eta) * sp (- t) + eta * sp t)
  /\ x 1 - y 1 = 2 * ln ((1 - eta) / eta)
  /\ (let s := ((1 - eta) * x (1/2) + eta * y (1/2)) + ((1 - eta) * y (1/2) + eta * x (1/2)) in
      s = ln (4 * eta * (1 - eta)) /\ eta = (1 - sqrt (1 - exp s)) / 2).
Proof.
  intros eta He x y.
  assert (X2 : x (1/2) = ln (2 * (1 - eta))) by (unfold x; f_equal; field; lra).
  assert (Y2 : y (1/2) = ln (2 * eta)) by (unfold y; f_equal; field; lra).
  split; [|split; [exact X2|split; [exact Y2|split; [|split; [|split; [|split]]]]]].
  - intros a m t Ha Hm.
    assert (D1 : 0 < (1 - a) * (1 - eta) + a * eta) by nra. assert (D2 : 0 < (1 - a) * eta + a * (1 - eta)) by nra.
    assert (Ex : x a = ln ((1 - eta) * m / ((1 - a) * ((1 - eta) * m) + a * (eta * m)))) by (unfold x; f_equal; field; split; [nra|lra]).
    assert (Ey : y a = ln (eta * m / ((1 - a) * (eta * m) + a * ((1 - eta) * m)))) by (unfold y; f_equal; field; split; [nra|lra]).
    rewrite Ex, Ey. split; intros N; apply best_score; auto; try nra.
  - rewrite Y2, exp_ln by lra. field.
  - rewrite X2, Y2, ln_div, !ln_mult by lra. ring.
  - intros t N. apply best_score; auto; lra.
  - unfold x, y. rewrite !Rminus_eq_0, !Rmult_0_l, !Rplus_0_l, !Rmult_1_l, !ln_div by lra. ring.
  - intros s.
    assert (S : s = ln (4 * eta * (1 - eta))).
    { unfold s. replace (4 * eta * (1 - eta)) with (2 * (1 - eta) * (2 * eta)) by ring.
      rewrite X2, Y2, (ln_mult (2 * (1 - eta)) (2 * eta)) by lra. ring. }
    split; [exact S|].
    rewrite S, exp_ln by nra.
    replace (1 - 4 * eta * (1 - eta)) with ((1 - 2 * eta) * (1 - 2 * eta)) by ring.
    rewrite sqrt_square by lra. field.
Qed.
