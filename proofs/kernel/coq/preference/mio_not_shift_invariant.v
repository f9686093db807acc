(** DPO absorbs a constant in the score, MIO does not: no normalised policy need have MIO's best score. *)
From MI Require Import preference.pairs_of_scores bounds.js_value_and_gap numbers.

(** The score beta ln pi/ref of a policy, and MIO's best score T_star = ln dP/dQ. *)
Definition score_of {X} (beta : R) (policy ref : X -> R) (y : X) : R := beta * ln (policy y / ref y).
Definition best_score {X} (p q : X -> R) (y : X) : R := ln (p y / q y).

(** What a response of masses a and b loses at the score t. *)
Definition loss_gap (a b t : R) : R := (a + b) * bern (a / (a + b)) (sg t).

Lemma loss_gap_alt a b t : 0 < a -> 0 < b ->
  loss_gap a b t = (a + b) * (sp t - sp (ln (a / b)) - sg (ln (a / b)) * (t - ln (a / b))).
Proof.
  intros Ha Hb. unfold loss_gap. rewrite <- bern_sp. do 2 f_equal.
  unfold sg. rewrite exp_Ropp, exp_ln by now apply Rdiv_pos. field. lra.
Qed.

Lemma loss_gap_pos a b t : 0 < a -> 0 < b -> t <> ln (a / b) -> 0 < loss_gap a b t.
Proof.
  intros Ha Hb N. rewrite loss_gap_alt by auto. pose proof (sp_tangent_lt t (ln (a / b)) N). apply Rmult_lt_0_compat; lra.
Qed.

(** Away from the best score the gap grows. *)
Lemma loss_gap_mono a b s t : 0 < a -> 0 < b ->
  (s <= t <= ln (a / b) \/ ln (a / b) <= t <= s) -> loss_gap a b t <= loss_gap a b s.
Proof.
  intros Ha Hb H. rewrite !loss_gap_alt by auto. set (m := ln (a / b)) in *.
  apply Rmult_le_compat_l; [lra|]. pose proof (sp_tangent s t).
  assert ((sg t - sg m) * (s - t) >= 0).
  { destruct H as [[H1 H2]|[H1 H2]].
    - pose proof (sg_le t m H2). nra.
    - pose proof (sg_le m t H1). nra. }
  nra.
Qed.

(** (a) DPO, DV at every mix and InfoNCA do not change under T + c; L_a(u + c, v + c) is strictly convex in c. *)
Theorem mio_not_shift_invariant_a :
  (forall u v c, dpo (u + c) (v + c) = dpo u v)
  /\ (forall (X : Type) (l : list X) (p r T : X -> R) (a c : R), law l p -> law l r -> 0 <= a <= 1 ->
        dv l p (mixed a p r) (fun y => T y + c) = dv l p (mixed a p r) T)
  /\ (forall u vs c, plackett (u + c) (map (fun v => v + c) vs) = plackett u vs)
  /\ (forall a u v c d t, 0 < a < 1 -> c <> d -> 0 < t < 1 ->
        js_loss a (u + ((1 - t) * c + t * d)) (v + ((1 - t) * c + t * d))
          < (1 - t) * js_loss a (u + c) (v + c) + t * js_loss a (u + d) (v + d)).
Proof.
  split; [|split; [|split]].
  - intros. unfold dpo. f_equal. ring.
  - intros X l p r T a c Lp Lr Ha. pose proof (law_mixed l p r a Lp Lr Ha) as Lq.
    pose proof (mgf_pos l (mixed a p r) T Lq). pose proof (exp_pos c).
    unfold dv. rewrite E_shift, mgf_shift, ln_mult, ln_exp; auto. ring.
  - intros. rewrite !plackett_alt, sum_map.
    rewrite (sum_ext vs _ (fun v => exp c * exp v)) by (intros; rewrite exp_plus; ring).
    rewrite sum_scal, exp_plus. change (sum vs (fun x => exp x)) with (sum vs exp).
    pose proof (exp_pos u). pose proof (exp_pos c). pose proof (sum_exp_nonneg vs).
    replace (exp u * exp c + exp c * sum vs exp) with (exp c * (exp u + sum vs exp)) by ring.
    rewrite ln_mult, ln_exp; auto; [ring|lra].
  - intros a u v c d t Ha N Ht. rewrite !js_loss_own. set (m := (1 - t) * c + t * d).
    assert (N1 : u + c <> u + m) by (unfold m; intros C; apply N; assert (H : t * (c - d) = 0) by lra; apply Rmult_integral in H; destruct H; lra).
    pose proof (own_tangent_lt a (u + c) (u + m) ltac:(lra) N1) as T1. pose proof (own_tangent a (u + d) (u + m) ltac:(lra)) as T2.
    pose proof (sp_tangent (v + c) (v + m)) as T3. pose proof (sp_tangent (v + d) (v + m)) as T4.
    set (g := (2 - a) * sg (u + m) - 1) in *. set (h := sg (v + m)) in *.
    apply (Rmult_lt_compat_l (1 - t)) in T1; [|lra]. apply (Rmult_le_compat_l t) in T2; [|lra].
    apply (Rmult_le_compat_l (a * (1 - t))) in T3; [|apply Rmult_le_pos; lra].
    apply (Rmult_le_compat_l (a * t)) in T4; [|apply Rmult_le_pos; lra].
    assert (Z1 : (1 - t) * (g * (u + c - (u + m))) + t * (g * (u + d - (u + m))) = 0) by (unfold m; ring).
    assert (Z2 : a * (1 - t) * (h * (v + c - (v + m))) + a * t * (h * (v + d - (v + m))) = 0) by (unfold m; ring).
    lra.
Qed.

Lemma exp_score {X} beta (policy ref : X -> R) y : 0 < beta -> 0 < policy y -> 0 < ref y ->
  exp (score_of beta policy ref y / beta) = policy y / ref y.
Proof.
  intros Hb P Q. unfold score_of. replace (beta * ln (policy y / ref y) / beta) with (ln (policy y / ref y)) by (field; lra).
  apply exp_ln. now apply Rdiv_pos.
Qed.

(** Z = E_ref e^{T/beta}. *)
Definition total {X} (l : list X) (ref : X -> R) (beta : R) (T : X -> R) : R := mgf l ref (fun y => T y / beta).

Lemma total_of_policy {X} (l : list X) beta policy ref : 0 < beta -> law l policy -> full l policy -> full l ref ->
  total l ref beta (score_of beta policy ref) = 1.
Proof.
  intros Hb L F G. destruct L as [_ S]. rewrite <- S. apply sum_ext. intros y Hy. specialize (F y Hy). specialize (G y Hy).
  rewrite exp_score by auto. field. lra.
Qed.

(** The policy proportional to ref e^{T/beta}. *)
Definition policy_of {X} (l : list X) (ref : X -> R) (beta : R) (T : X -> R) : X -> R := tilt l ref (fun y => T y / beta).

Lemma policy_of_full {X} (l : list X) ref beta T : law l ref -> full l ref -> full l (policy_of l ref beta T).
Proof.
  intros L F y Hy. specialize (F y Hy). pose proof (mgf_pos l ref (fun y => T y / beta) L). unfold policy_of, tilt.
  apply Rdiv_pos; auto. apply Rmult_lt_0_compat; auto. apply exp_pos.
Qed.

Lemma score_of_policy_of {X} (l : list X) ref beta T y : 0 < beta -> law l ref -> full l ref -> In y l ->
  score_of beta (policy_of l ref beta T) ref y = T y - beta * ln (total l ref beta T).
Proof.
  intros Hb L F Hy. specialize (F y Hy). pose proof (mgf_pos l ref (fun y => T y / beta) L) as PZ.
  unfold score_of, policy_of, tilt, total.
  replace (exp (T y / beta) * ref y / mgf l ref (fun y => T y / beta) / ref y)
    with (exp (T y / beta) / mgf l ref (fun y => T y / beta)) by (field; lra).
  rewrite ln_div, ln_exp by auto using exp_pos. field. lra.
Qed.

(** (b) A policy's score has E_ref e^{T/beta} = 1, T_star has E_Q e^{T_star} = 1; T_star is the score of a policy iff Z = 1,
    as for ref = Q and beta = 1. *)
Theorem mio_not_shift_invariant_b : forall (X : Type) (l : list X) (p q ref : X -> R) (beta : R),
  law l p -> law l q -> law l ref -> full l p -> full l q -> full l ref -> 0 < beta ->
  (forall policy, law l policy -> full l policy -> total l ref beta (score_of beta policy ref) = 1)
  /\ mgf l q (best_score p q) = 1
  /\ ((exists policy, law l policy /\ full l policy /\ same l (best_score p q) (score_of beta policy ref))
       <-> total l ref beta (best_score p q) = 1)
  /\ total l q 1 (best_score p q) = 1.
Proof.
  intros X l p q ref beta Lp Lq Lr Fp Fq Fr Hb.
  assert (One : mgf l q (best_score p q) = 1).
  { destruct Lp as [_ S]. rewrite <- S. apply sum_ext. intros y Hy. specialize (Fp y Hy). specialize (Fq y Hy).
    unfold best_score. rewrite exp_ln by now apply Rdiv_pos. field. lra. }
  split; [intros; now apply total_of_policy|]. split; [exact One|]. split; [split|].
  - intros [policy [L [F S]]]. rewrite <- (total_of_policy l beta policy ref Hb L F Fr).
    apply sum_ext. intros y Hy. now rewrite (S y Hy).
  - intros H. exists (policy_of l ref beta (best_score p q)). split; [now apply law_tilt|]. split; [now apply policy_of_full|].
    intros y Hy. rewrite score_of_policy_of, H, ln_1 by auto. ring.
  - transitivity (mgf l q (best_score p q)); [|exact One]. apply E_ext. intros y _. f_equal. field.
Qed.

Lemma loss_as_gap {X} (l : list X) p q T : law l p -> law l q -> full l p -> full l q ->
  (2 * ln 2 - js l p q T) - (2 * ln 2 - js l p q (best_score p q)) = sum l (fun y => loss_gap (p y) (q y) (T y)).
Proof.
  intros Lp Lq Fp Fq.
  pose proof (js_gap_sum l p q T Lp Lq) as G1. pose proof (js_gap_sum l p q (best_score p q) Lp Lq) as G2.
  assert (Z0 : sum l (fun y => atom_gap (p y) (q y) (best_score p q y)) = 0).
  { rewrite <- (sum_0 l). apply sum_ext. intros y Hy. specialize (Fp y Hy). specialize (Fq y Hy).
    apply atom_gap_zero; auto; lra. }
  change (sum l (fun y => loss_gap (p y) (q y) (T y))) with (sum l (fun y => atom_gap (p y) (q y) (T y))). lra.
Qed.

(** (c) T_star - beta ln Z is the score of the policy proportional to ref e^{T_star/beta}; DPO sees no difference, and L_a of
    that score plus a free delta is least at delta = beta ln Z alone. The loss is 2 ln 2 - JS(P, Q; T). *)
Theorem mio_not_shift_invariant_c : forall (X : Type) (l : list X) (p q ref : X -> R) (beta : R),
  law l p -> law l q -> law l ref -> full l p -> full l q -> full l ref -> 0 < beta ->
  let Ts := best_score p q in
  let c := beta * ln (total l ref beta Ts) in
  let T := score_of beta (policy_of l ref beta Ts) ref in
  let loss := fun T => 2 * ln 2 - js l p q T in
  law l (policy_of l ref beta Ts) /\ full l (policy_of l ref beta Ts)
  /\ same l T (fun y => Ts y - c)
  /\ (forall y z, In y l -> In z l -> dpo (T y) (T z) = dpo (Ts y) (Ts z))
  /\ (forall delta, loss (fun y => T y + c) <= loss (fun y => T y + delta)
        /\ (delta <> c -> loss (fun y => T y + c) < loss (fun y => T y + delta))).
Proof.
  intros X l p q ref beta Lp Lq Lr Fp Fq Fr Hb Ts c T loss.
  assert (ST : same l T (fun y => Ts y - c)) by (intros y Hy; unfold T; rewrite score_of_policy_of by auto; reflexivity).
  split; [now apply law_tilt|]. split; [now apply policy_of_full|]. split; [exact ST|]. split.
  - intros y z Hy Hz. rewrite (ST y Hy), (ST z Hz). unfold dpo. f_equal. ring.
  - intros delta.
    assert (Same : forall d, js l p q (fun y => T y + d) = js l p q (fun y => Ts y + (d - c))).
    { intros d. unfold js. f_equal; [f_equal|]; apply sum_ext; intros y Hy; rewrite (ST y Hy); do 2 f_equal; ring. }
    assert (G : forall d, loss (fun y => T y + d) - loss (fun y => T y + c) = sum l (fun y => loss_gap (p y) (q y) (Ts y + (d - c)))).
    { intros d. unfold loss. rewrite !Same, <- (loss_as_gap l p q _ Lp Lq Fp Fq).
      replace (js l p q (fun y => Ts y + (c - c))) with (js l p q Ts); [reflexivity|].
      unfold js. f_equal; [f_equal|]; apply sum_ext; intros y _; do 2 f_equal; ring. }
    assert (N : forall d y, In y l -> 0 <= loss_gap (p y) (q y) (Ts y + d)).
    { intros d y Hy. apply (atom_gap_nonneg (p y) (q y)); left; [now apply Fp|now apply Fq]. }
    split.
    + pose proof (sum_nonneg l _ (N (delta - c))). rewrite <- G in H. lra.
    + intros Ne. destruct (law_atom l p Lp) as [y [Hy Py]].
      assert (0 < sum l (fun y => loss_gap (p y) (q y) (Ts y + (delta - c)))).
      { apply sum_pos; [apply N|]. exists y. split; auto. apply loss_gap_pos; auto. unfold Ts, best_score. lra. }
      rewrite <- G in H. lra.
Qed.

(** (d) If Z <> 1, every policy misses the least loss by at least the smallest over y of g_y(T_star(y) - beta ln Z) > 0. *)
Theorem mio_not_shift_invariant_d : forall (X : Type) (l : list X) (p q ref : X -> R) (beta : R),
  law l p -> law l q -> law l ref -> full l p -> full l q -> full l ref -> 0 < beta ->
  let Ts := best_score p q in
  let c := beta * ln (total l ref beta Ts) in
  let g := fun y t => (p y + q y) * bern (p y / (p y + q y)) (sg t) in
  total l ref beta Ts <> 1 ->
  (forall y, In y l -> 0 < g y (Ts y - c))
  /\ (forall policy, law l policy -> full l policy ->
       exists y, In y l /\ g y (Ts y - c)
         <= (2 * ln 2 - js l p q (score_of beta policy ref)) - (2 * ln 2 - js l p q Ts)).
Proof.
  intros X l p q ref beta Lp Lq Lr Fp Fq Fr Hb Ts c g Ne.
  pose proof (mgf_pos l ref (fun y => Ts y / beta) Lr) as PZ. fold (total l ref beta Ts) in PZ.
  assert (Nc : c <> 0).
  { unfold c. intros C. apply Rmult_integral in C. destruct C as [C|C]; [lra|]. apply Ne.
    rewrite <- (exp_ln _ PZ), C. apply exp_0. }
  split.
  - intros y Hy. apply (loss_gap_pos (p y) (q y)); [now apply Fp|now apply Fq|]. unfold Ts, best_score. lra.
  - intros policy L F. set (T := score_of beta policy ref).
    pose proof (loss_as_gap l p q T Lp Lq Fp Fq) as LG. fold Ts in LG. rewrite LG.
    (* both T and T_star - c have E_ref e^{./beta} = 1, so T is not above T_star - c everywhere, nor below it *)
    assert (Cmp : forall (f h : X -> R), total l ref beta f = 1 -> total l ref beta h = 1 -> exists y, In y l /\ f y <= h y).
    { intros f h Hf Hh. destruct (Classical_Prop.classic (exists y, In y l /\ f y <= h y)) as [H|H]; auto. exfalso.
      assert (total l ref beta h < total l ref beta f); [|lra]. apply E_lt; auto. intros y Hy _.
      apply exp_increasing. apply Rmult_lt_compat_r; [now apply Rinv_0_lt_compat|].
      destruct (Rlt_le_dec (h y) (f y)) as [|C]; auto. exfalso. apply H. eauto. }
    assert (Z1 : total l ref beta T = 1) by now apply total_of_policy.
    assert (Z2 : total l ref beta (fun y => Ts y - c) = 1).
    { rewrite <- (total_of_policy l beta (policy_of l ref beta Ts) ref Hb (law_tilt l ref _ Lr) (policy_of_full l ref beta Ts Lr Fr) Fr).
      apply sum_ext. intros y Hy. rewrite score_of_policy_of by auto. reflexivity. }
    assert (Go : exists y, In y l /\ (T y <= Ts y - c <= Ts y \/ Ts y <= Ts y - c <= T y)).
    { destruct (Rlt_le_dec 0 c) as [Hc|Hc].
      - destruct (Cmp T (fun y => Ts y - c) Z1 Z2) as [y [Hy H]]. exists y. split; auto. left. lra.
      - destruct (Cmp (fun y => Ts y - c) T Z2 Z1) as [y [Hy H]]. exists y. split; auto. right. lra. }
    destruct Go as [y [Hy H]]. exists y. split; auto.
    apply Rle_trans with (loss_gap (p y) (q y) (T y)).
    + apply (loss_gap_mono (p y) (q y)); [now apply Fp|now apply Fq|exact H].
    + apply (sum_ge_term l (fun y => loss_gap (p y) (q y) (T y))); auto.
      intros z Hz. apply (atom_gap_nonneg (p z) (q z)); left; [now apply Fp|now apply Fq].
Qed.

(** (e) Two responses, ref = Q = (1/2, 1/2), beta = 2, P = (a, 1 - a), R = (1 - a, a): Z < 1 for a <> 1/2; at a = 4/5
    Z = 3/sqrt 10, and every policy misses the least loss by more than 0.0008. *)
Theorem mio_not_shift_invariant_e :
  let half := fun _ : bool => 1/2 in
  let p := fun a (b : bool) => if b then a else 1 - a in
  let r := fun a (b : bool) => if b then 1 - a else a in
  (forall a b, mixed (1/2) (p a) (r a) b = half b)
  /\ (forall a, 0 < a < 1 -> a <> 1/2 -> total two half 2 (best_score (p a) half) < 1)
  /\ total two half 2 (best_score (p (4/5)) half) = 3 / sqrt 10
  /\ (forall policy, law two policy -> full two policy ->
        8/10000 < (2 * ln 2 - js two (p (4/5)) half (score_of 2 policy half))
                  - (2 * ln 2 - js two (p (4/5)) half (best_score (p (4/5)) half))).
Proof.
  intros half p r.
  assert (Ex : forall x, 0 < x -> exp (ln (x / (1/2)) / 2) = sqrt (2 * x)).
  { intros x Hx. assert (P : 0 < x / (1/2)) by (apply Rdiv_pos; lra).
    rewrite <- (sqrt_Rsqr (exp (ln (x / (1/2)) / 2))) by (left; apply exp_pos). f_equal. unfold Rsqr.
    rewrite <- exp_plus. replace (ln (x / (1/2)) / 2 + ln (x / (1/2)) / 2) with (ln (x / (1/2))) by field.
    rewrite exp_ln by auto. field. }
  assert (Tot : forall a, 0 < a < 1 -> total two half 2 (best_score (p a) half) = (sqrt (2 * a) + sqrt (2 * (1 - a))) / 2).
  { intros a Ha. unfold total, mgf. rewrite E_two. unfold best_score, half, p. rewrite !Ex by lra. field. }
  assert (At : total two half 2 (best_score (p (4/5)) half) = 3 / sqrt 10).
  { rewrite Tot by lra. assert (S10 : 0 < sqrt 10) by (apply sqrt_lt_R0; lra).
    assert (A : sqrt (2 * (4/5)) = 4 / sqrt 10).
    { apply (Rmult_eq_reg_r (sqrt 10)); [|lra]. rewrite <- sqrt_mult by lra. replace (2 * (4/5) * 10) with (4 * 4) by field.
      rewrite sqrt_square by lra. field. lra. }
    assert (B : sqrt (2 * (1 - 4/5)) = 2 / sqrt 10).
    { apply (Rmult_eq_reg_r (sqrt 10)); [|lra]. rewrite <- sqrt_mult by lra. replace (2 * (1 - 4/5) * 10) with (2 * 2) by field.
      rewrite sqrt_square by lra. field. lra. }
    rewrite A, B. field. lra. }
  split; [intros a b; unfold mixed, p, r, half; destruct b; field|]. split; [|split; [exact At|]].
  - intros a Ha N. rewrite Tot by auto.
    assert (H : forall x, 0 < x -> sqrt (2 * x) <= x + 1/2 /\ (x <> 1/2 -> sqrt (2 * x) < x + 1/2)).
    { intros x Hx. assert (Q : sqrt (2 * x) * sqrt (2 * x) = 2 * x) by (apply sqrt_sqrt; lra).
      pose proof (sqrt_lt_R0 (2 * x) ltac:(lra)).
      pose proof (Rle_0_sqr (sqrt (2 * x) - 1)) as Sq. unfold Rsqr in Sq. split; [lra|]. intros Nx.
      assert (N1 : sqrt (2 * x) - 1 <> 0).
      { intros C. apply Nx. assert (S1 : sqrt (2 * x) = 1) by lra. rewrite S1 in Q. lra. }
      pose proof (Rsqr_pos_lt _ N1) as Sp. unfold Rsqr in Sp. lra. }
    destruct (H a ltac:(lra)) as [_ H1]. destruct (H (1 - a) ltac:(lra)) as [H2 _]. specialize (H1 N). lra.
  - intros policy L F.
    assert (Lh : law two half) by (split; [intros; unfold half; lra|unfold two, half; simpl; field]).
    assert (Lp : law two (p (4/5))) by (split; [intros [|] _; unfold p; lra|unfold two, p; simpl; field]).
    assert (Fh : full two half) by (intros b _; unfold half; lra).
    assert (Fp : full two (p (4/5))) by (intros [|] _; unfold p; lra).
    destruct (mio_not_shift_invariant_d bool two (p (4/5)) half half 2 Lp Lh Lh Fp Fh Fh ltac:(lra)) as [_ D].
    { rewrite At. intros C. assert (S10 : 0 < sqrt 10) by (apply sqrt_lt_R0; lra).
      assert (sqrt 10 = 3) by (apply (f_equal (fun v => v * sqrt 10)) in C; field_simplify in C; lra).
      assert (sqrt 10 * sqrt 10 = 10) by (apply sqrt_sqrt; lra). rewrite H in H0. lra. }
    destruct (D policy L F) as [y [_ G]]. apply Rlt_le_trans with (2 := G). rewrite At.
    unfold best_score, half, bern, sg, p. destruct y; interval with (i_prec 60).
Qed.
