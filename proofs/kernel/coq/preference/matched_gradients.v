(** MIO at 2 beta against DPO at beta: once both responses have sunk, MIO pulls the chosen one more and pushes the other less. *)
From MI Require Import preference.pairs_of_scores.

(** Pull on the chosen and push on the rejected response; DPO's are both sigma(v - u). *)
Definition pull (u : R) : R := 2 - 3 * sg (2 * u).
Definition push (v : R) : R := sg (2 * v).
Definition level (u : R) : R := u + ln ((2 - exp (2 * u)) / (2 * exp (2 * u) - 1)).

Lemma pull_alt u : pull u = (2 - exp (2 * u)) / (1 + exp (2 * u)).
Proof. unfold pull. rewrite sg_alt. pose proof (exp_pos (2 * u)). field. lra. Qed.

Lemma exp_double u x : 0 < x -> (exp (2 * u) < x <-> u < 1/2 * ln x) /\ (x < exp (2 * u) <-> 1/2 * ln x < u).
Proof.
  intros Hx. assert (E : forall a b, a < b <-> exp a < exp b).
  { intros; split; [apply exp_increasing|apply exp_lt_inv]. }
  split.
  - rewrite <- (exp_ln x Hx) at 1. rewrite <- E. split; lra.
  - rewrite <- (exp_ln x Hx) at 1. rewrite <- E. split; lra.
Qed.

Lemma ln_half : ln (1/2) = - ln 2.
Proof. rewrite ln_div, ln_1 by lra. ring. Qed.

(** |u| < (ln 2)/2 in X = e^{2u}: 1/2 < X < 2. *)
Lemma inside u : Rabs u < 1/2 * ln 2 <-> 1/2 < exp (2 * u) < 2.
Proof.
  destruct (exp_double u 2 ltac:(lra)) as [A _]. destruct (exp_double u (1/2) ltac:(lra)) as [_ B].
  rewrite ln_half in B. split; intros H.
  - apply Rabs_def2 in H. split; [apply B; lra|apply A; lra].
  - apply Rabs_def1; [apply A; lra|]. assert (1/2 * - ln 2 < u) by (apply B; lra). lra.
Qed.

(** (a) MIO pushes less iff u + v < 0. *)
Theorem matched_gradients_a : forall u v : R, push v < sg (v - u) <-> u + v < 0.
Proof.
  intros u v. unfold push. split; intros H.
  - destruct (Rlt_le_dec (u + v) 0) as [|C]; auto. pose proof (sg_le (v - u) (2 * v) ltac:(lra)). lra.
  - apply sg_increasing. lra.
Qed.

(** (b) MIO's pull is positive iff u < (ln 2)/2; DPO's always is. *)
Theorem matched_gradients_b : forall u : R, (0 < pull u <-> u < 1/2 * ln 2) /\ forall v, 0 < sg (v - u).
Proof.
  intros u. split; [|intros; apply sg_pos]. destruct (exp_double u 2 ltac:(lra)) as [A _]. rewrite <- A, pull_alt.
  pose proof (exp_pos (2 * u)). split; intros H1.
  - destruct (Rlt_le_dec (exp (2 * u)) 2) as [|C]; auto. exfalso.
    assert (0 <= (exp (2 * u) - 2) / (1 + exp (2 * u))) by (apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]).
    replace ((2 - exp (2 * u)) / (1 + exp (2 * u))) with (- ((exp (2 * u) - 2) / (1 + exp (2 * u)))) in H1 by (field; lra). lra.
  - apply Rdiv_pos; lra.
Qed.

Lemma level_alt u : 1/2 < exp (2 * u) < 2 -> level u = u + ln (2 - exp (2 * u)) - ln (2 * exp (2 * u) - 1).
Proof. intros H. unfold level. rewrite ln_div by lra. ring. Qed.

Lemma below_level u v : 1/2 < exp (2 * u) < 2 -> (sg (v - u) < pull u <-> v < level u).
Proof.
  intros H. assert (P : 0 < pull u < 1).
  { rewrite pull_alt. split; [apply Rdiv_pos; lra|].
    apply (Rmult_lt_reg_r (1 + exp (2 * u))); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  assert (L : logit (pull u) = level u - u).
  { unfold logit, level. rewrite pull_alt.
    replace ((2 - exp (2 * u)) / (1 + exp (2 * u)) / (1 - (2 - exp (2 * u)) / (1 + exp (2 * u))))
      with ((2 - exp (2 * u)) / (2 * exp (2 * u) - 1)) by (field; repeat split; lra). ring. }
  rewrite <- (sg_logit (pull u) P), L. split; intros H1.
  - destruct (Rlt_le_dec v (level u)) as [|C]; auto. pose proof (sg_le (level u - u) (v - u) ltac:(lra)). lra.
  - apply sg_increasing. lra.
Qed.

Lemma level_falls u w : 1/2 < exp (2 * u) < 2 -> 1/2 < exp (2 * w) < 2 -> u < w -> level w < level u.
Proof.
  intros Hu Hw H. rewrite !level_alt by auto. set (x := exp (2 * u)) in *. set (y := exp (2 * w)) in *.
  assert (Lx : ln x = 2 * u) by (unfold x; apply ln_exp). assert (Ly : ln y = 2 * w) by (unfold y; apply ln_exp).
  assert (Hxy : x < y) by (apply exp_increasing; lra).
  assert (A : ln (2 - y) < ln (2 - x)) by (apply ln_increasing; lra).
  assert (B : ln (2 * x - 1) + ln y < ln (2 * y - 1) + ln x).
  { rewrite <- !ln_mult by lra. apply ln_increasing; [apply Rmult_lt_0_compat; lra|]. nra. }
  lra.
Qed.

(** (c) For u <= -(ln 2)/2 MIO's pull is at least 1, above DPO's at any v; for |u| < (ln 2)/2 it is the stronger iff
    v < h(u), which decreases from infinity to -infinity with h(0) = 0, above -u for u < 0 and below it for u > 0; for
    u >= (ln 2)/2 it is the weaker. *)
Theorem matched_gradients_c :
  (forall u v, u <= - (1/2 * ln 2) -> 1 <= pull u /\ sg (v - u) < pull u)
  /\ (forall u v, Rabs u < 1/2 * ln 2 -> (sg (v - u) < pull u <-> v < level u))
  /\ (forall u w, Rabs u < 1/2 * ln 2 -> Rabs w < 1/2 * ln 2 -> u < w -> level w < level u)
  /\ level 0 = 0
  /\ (forall M, exists u, Rabs u < 1/2 * ln 2 /\ M < level u)
  /\ (forall M, exists u, Rabs u < 1/2 * ln 2 /\ level u < M)
  /\ (forall u, Rabs u < 1/2 * ln 2 -> (u < 0 -> - u < level u) /\ (0 < u -> level u < - u))
  /\ (forall u v, 1/2 * ln 2 <= u -> pull u < sg (v - u)).
Proof.
  assert (Bound : forall e, 0 < e < 1 -> exists u, 1/2 < exp (2 * u) < 2 /\ 2 * exp (2 * u) - 1 = e).
  { intros e He. exists (1/2 * ln ((1 + e) / 2)). replace (2 * (1/2 * ln ((1 + e) / 2))) with (ln ((1 + e) / 2)) by field.
    rewrite exp_ln by lra. split; lra. }
  assert (Sym : forall u, 1/2 < exp (2 * u) < 2 -> level (- u) = - level u).
  { intros u H. assert (I : exp (2 * - u) = / exp (2 * u)) by (rewrite <- exp_Ropp; f_equal; ring).
    unfold level. rewrite I.
    replace ((2 - / exp (2 * u)) / (2 * / exp (2 * u) - 1)) with (/ ((2 - exp (2 * u)) / (2 * exp (2 * u) - 1)))
      by (field; repeat split; lra).
    rewrite ln_Rinv by (apply Rdiv_pos; lra). ring. }
  assert (Up : forall M, exists u, Rabs u < 1/2 * ln 2 /\ M < level u).
  { intros M. set (e := Rmin (1/2) (exp (- (Rabs M + 2)))).
    assert (He : 0 < e < 1).
    { unfold e. split; [apply Rmin_glb_lt; [lra|apply exp_pos]|]. pose proof (Rmin_l (1/2) (exp (- (Rabs M + 2)))). lra. }
    destruct (Bound e He) as [u [Hu Eu]]. exists u. split; [now apply inside|]. rewrite level_alt, Eu by auto.
    assert (X1 : exp (2 * u) < 1) by lra.
    assert (L1 : 0 < ln (2 - exp (2 * u))) by (apply ln_pos; lra).
    assert (L2 : ln e <= - (Rabs M + 2)).
    { rewrite <- (ln_exp (- (Rabs M + 2))). apply ln_le_iff; [lra|apply exp_pos|apply Rmin_r]. }
    assert (L3 : - (1/2 * ln 2) < u) by (apply inside in Hu; apply Rabs_def2 in Hu; lra).
    pose proof (ln_lt_sub 2 ltac:(lra) ltac:(lra)). pose proof (Rle_abs M). lra. }
  split; [|split; [|split; [|split; [|split; [exact Up|split; [|split]]]]]].
  - intros u v H. pose proof (sg_lt_1 (v - u)). assert (1 <= pull u); [|lra].
    rewrite pull_alt. pose proof (exp_pos (2 * u)).
    assert (exp (2 * u) <= 1/2).
    { destruct (Rle_lt_dec (exp (2 * u)) (1/2)) as [|C]; auto. exfalso.
      destruct (exp_double u (1/2) ltac:(lra)) as [_ B]. apply B in C. rewrite ln_half in C. lra. }
    apply (Rmult_le_reg_r (1 + exp (2 * u))); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
  - intros u v H. apply below_level. now apply inside.
  - intros u w Hu Hw H. apply level_falls; auto; now apply inside.
  - unfold level. rewrite Rmult_0_r, exp_0. replace ((2 - 1) / (2 * 1 - 1)) with 1 by field. rewrite ln_1. ring.
  - intros M. destruct (Up (- M)) as [u [Hu H]]. exists (- u). rewrite Rabs_Ropp. split; auto.
    rewrite Sym by now apply inside. lra.
  - intros u H. apply inside in H. set (x := exp (2 * u)) in *. assert (Lx : ln x = 2 * u) by (unfold x; apply ln_exp).
    rewrite level_alt by auto. fold x. split; intros Hu.
    + assert (x < 1) by (unfold x; rewrite <- exp_0; apply exp_increasing; lra).
      assert (ln (2 * x - 1) < ln x + ln (2 - x)); [|lra].
      rewrite <- ln_mult by lra. apply ln_increasing; [lra|]. nra.
    + assert (1 < x) by (unfold x; rewrite <- exp_0; apply exp_increasing; lra).
      assert (ln x + ln (2 - x) < ln (2 * x - 1)); [|lra].
      rewrite <- ln_mult by lra. apply ln_increasing; [apply Rmult_lt_0_compat; lra|]. nra.
  - intros u v H. pose proof (sg_pos (v - u)). assert (pull u <= 0); [|lra].
    destruct (Rle_lt_dec (pull u) 0) as [|C]; auto. apply (matched_gradients_b u) in C. lra.
Qed.

(** (d) Where the chosen response has sunk and u + v < 0, MIO pulls it more and pushes the rejected one less; as v sinks at
    a fixed u DPO's pull vanishes, and MIO's does not depend on v. *)
Theorem matched_gradients_d :
  (forall u v, u < 0 -> u + v < 0 -> sg (v - u) < pull u /\ push v < sg (v - u))
  /\ (forall u e, 0 < e -> exists V, forall v, v < V -> sg (v - u) < e).
Proof.
  destruct matched_gradients_c as [C1 [C2 [_ [_ [_ [_ [C3 _]]]]]]]. split.
  - intros u v Hu H. split; [|now apply matched_gradients_a].
    destruct (Rle_lt_dec u (- (1/2 * ln 2))) as [C|C]; [now apply C1|].
    assert (I : Rabs u < 1/2 * ln 2) by (apply Rabs_def1; pose proof ln_2_pos; lra).
    apply C2; auto. destruct (C3 u I) as [K _]. specialize (K Hu). lra.
  - intros u e He. destruct (exp_small e He) as [k [_ Hk]]. exists (u - k). intros v Hv.
    apply Rlt_trans with (exp (v - u)).
    + rewrite sg_alt. pose proof (exp_pos (v - u)). apply (Rmult_lt_reg_r (1 + exp (v - u))); [lra|].
      unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra.
    + pose proof (exp_increasing (v - u) (- k) ltac:(lra)). lra.
Qed.
