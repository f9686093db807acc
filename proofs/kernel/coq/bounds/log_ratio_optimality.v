(** One invariant, penalty' = e^T reward', makes every row tight at ln dP/dQ. *)
From MI Require Import lemmas.

(** A row: E_P reward(T) - E_Q penalty(T). *)
Definition row_value {X} (reward penalty : R -> R) (l : list X) (p q T : X -> R) : R :=
  E l p (fun x => reward (T x)) - E l q (fun x => penalty (T x)).

(** [row reward reward' penalty penalty']: differentiable, with these derivatives. *)
Definition row (reward dreward penalty dpenalty : R -> R) : Prop :=
  (forall t, is_derive reward t (dreward t)) /\ (forall t, is_derive penalty t (dpenalty t)).

(** One atom's share is largest at its log-ratio, and there only. *)
Lemma share_peak reward dr penalty dp a b t : row reward dr penalty dp ->
  (forall t, 0 < dr t) -> (forall t, dp t = exp t * dr t) -> 0 < a -> 0 < b -> t <> ln (a / b) ->
  a * reward t - b * penalty t < a * reward (ln (a / b)) - b * penalty (ln (a / b)).
Proof.
  intros [Dr Dp] Pos Inv Ha Hb N. set (m := ln (a / b)) in *.
  assert (Em : b * exp m = a) by (unfold m; rewrite exp_ln by (now apply Rdiv_pos); field; lra).
  set (f := fun t => a * reward t - b * penalty t). set (df := fun t => dr t * (a - b * exp t)).
  assert (Df : forall c, derivable_pt_lim f c (df c)).
  { intros c. apply is_derive_Reals. unfold f, df.
    replace (dr c * (a - b * exp c)) with (a * dr c - b * dp c) by (rewrite Inv; ring).
    apply @is_derive_minus; apply is_derive_scal; auto. }
  change (f t < f m). destruct (Rtotal_order t m) as [C|[C|C]]; [|contradiction|].
  - destruct (MVT_cor2 f df t m C (fun c _ => Df c)) as [c [Eq [H1 H2]]].
    assert (0 < df c); [|nra]. unfold df. apply Rmult_lt_0_compat; auto.
    pose proof (exp_increasing c m H2). nra.
  - destruct (MVT_cor2 f df m t C (fun c _ => Df c)) as [c [Eq [H1 H2]]].
    assert (df c < 0); [|nra]. unfold df. pose proof (exp_increasing m c H1). pose proof (Pos c).
    assert (a - b * exp c < 0) by nra. nra.
Qed.

(** (a) reward' > 0 and penalty' = e^T reward': the value is largest at T = ln dP/dQ, and nowhere else. *)
Theorem log_ratio_optimality_a : forall (reward dreward penalty dpenalty : R -> R),
  row reward dreward penalty dpenalty -> (forall t, 0 < dreward t) -> (forall t, dpenalty t = exp t * dreward t) ->
  forall (X : Type) (l : list X) (p q T : X -> R), full l p -> full l q ->
  let best := fun x => ln (p x / q x) in
  row_value reward penalty l p q T <= row_value reward penalty l p q best
  /\ (row_value reward penalty l p q T = row_value reward penalty l p q best <-> same l T best).
Proof.
  intros reward dr penalty dp Row Pos Inv X l p q T Fp Fq best.
  assert (D : forall T, row_value reward penalty l p q T = sum l (fun x => p x * reward (T x) - q x * penalty (T x))).
  { intros. unfold row_value, E. now rewrite sum_minus. }
  assert (Le : forall x, In x l -> p x * reward (T x) - q x * penalty (T x) <= p x * reward (best x) - q x * penalty (best x)).
  { intros x Hx. destruct (Req_dec (T x) (best x)) as [->|N]; [lra|]. left.
    apply (share_peak reward dr penalty dp); auto. }
  rewrite !D. split; [now apply sum_le|]. split.
  - intros Eq x Hx. destruct (Req_dec (T x) (best x)) as [|N]; auto. exfalso.
    pose proof (sum_le_eq l _ _ Le Eq x Hx) as E1. cbv beta in E1.
    pose proof (share_peak reward dr penalty dp (p x) (q x) (T x) Row Pos Inv (Fp x Hx) (Fq x Hx) N). unfold best in E1. lra.
  - intros S. apply sum_ext. intros x Hx. now rewrite (S x Hx).
Qed.

(** (b) Conversely a differentiable row whose value is largest at ln dP/dQ for all such laws on two atoms has
    penalty' = e^T reward'. *)
Theorem log_ratio_optimality_b : forall (reward dreward penalty dpenalty : R -> R),
  row reward dreward penalty dpenalty ->
  (forall p q T : bool -> R, law [true; false] p -> law [true; false] q -> full [true; false] p -> full [true; false] q ->
     row_value reward penalty [true; false] p q T <= row_value reward penalty [true; false] p q (fun x => ln (p x / q x))) ->
  forall t, dpenalty t = exp t * dreward t.
Proof.
  intros reward dr penalty dp [Dr Dp] Opt t. pose proof (exp_pos t) as Et.
  (* masses b = 1/(2 + e^t) and a = e^t b at the first atom *)
  set (b := / (2 + exp t)). set (a := exp t * b).
  assert (Hb : 0 < b < 1).
  { unfold b. split; [apply Rinv_0_lt_compat; lra|]. rewrite <- Rinv_1. apply Rinv_lt_contravar; lra. }
  assert (Ha : 0 < a < 1).
  { unfold a. split; [apply Rmult_lt_0_compat; lra|].
    assert (S : (2 + exp t) * b = 1) by (unfold b; field; lra). nra. }
  set (p := fun x : bool => if x then a else 1 - a). set (q := fun x : bool => if x then b else 1 - b).
  assert (Lab : ln (a / b) = t).
  { unfold a. replace (exp t * b / b) with (exp t) by (field; lra). apply ln_exp. }
  set (f := fun s => a * reward s - b * penalty s).
  assert (Df : forall s, derivable_pt_lim f s (a * dr s - b * dp s)).
  { intros s. apply is_derive_Reals. apply @is_derive_minus; apply is_derive_scal; auto. }
  assert (Max : forall s, f s <= f t).
  { intros s. specialize (Opt p q (fun x => if x then s else ln ((1 - a) / (1 - b)))).
    assert (V : forall T : bool -> R, row_value reward penalty [true; false] p q T
       = f (T true) + ((1 - a) * reward (T false) - (1 - b) * penalty (T false))).
    { intros T. unfold row_value, E, f, p, q. simpl. ring. }
    rewrite !V in Opt. unfold p, q in Opt. rewrite Lab in Opt.
    assert (f s + ((1 - a) * reward (ln ((1 - a) / (1 - b))) - (1 - b) * penalty (ln ((1 - a) / (1 - b))))
      <= f t + ((1 - a) * reward (ln ((1 - a) / (1 - b))) - (1 - b) * penalty (ln ((1 - a) / (1 - b))))); [|lra].
    apply Opt.
    - split; [intros [|] _; lra|simpl; ring].
    - split; [intros [|] _; lra|simpl; ring].
    - intros [|] _; lra.
    - intros [|] _; lra. }
  assert (Pt : derivable_pt f t) by (exists (a * dr t - b * dp t); apply Df).
  pose proof (deriv_maximum f (t - 1) (t + 1) t Pt ltac:(lra) ltac:(lra) (fun s _ _ => Max s)) as Z0.
  rewrite (derive_pt_eq_0 f t (a * dr t - b * dp t) Pt (Df t)) in Z0.
  assert (b * (exp t * dr t - dp t) = 0) by (unfold a in Z0; lra).
  apply Rmult_integral in H. destruct H; lra.
Qed.

(** (c) The five rows, their invariant, and what they read at ln dP/dQ: KL(P|Q), 2 JSD, KL(Q|P), chi^2 and H^2; each value
    is a lower bound of it. *)
Theorem log_ratio_optimality_c : forall (X : Type) (l : list X) (p q : X -> R),
  law l p -> law l q -> full l p -> full l q ->
  let best := fun x => ln (p x / q x) in
  let tight := fun reward penalty divergence =>
    row_value reward penalty l p q best = divergence
    /\ forall T, row_value reward penalty l p q T <= divergence in
  tight (fun t => 1 + t) exp (kl l p q)
  /\ tight (fun t => ln 2 - sp (- t)) (fun t => sp t - ln 2) (2 * jsd l p q)
  /\ tight (fun t => 1 - exp (- t)) (fun t => t) (kl l q p)
  /\ tight (fun t => 2 * (exp t - 1)) (fun t => exp (2 * t) - 1) (chi2 l p q)
  /\ tight (fun t => 1 - exp (- t / 2)) (fun t => exp (t / 2) - 1) (E l q (fun x => (sqrt (p x / q x) - 1) ^ 2)).
Proof.
  intros X l p q Lp Lq Fp Fq best tight.
  assert (Go : forall reward dr penalty dp divergence, row reward dr penalty dp -> (forall t, 0 < dr t) ->
     (forall t, dp t = exp t * dr t) -> row_value reward penalty l p q best = divergence -> tight reward penalty divergence).
  { intros reward dr penalty dp divergence Row Pos Inv V. split; auto. intros T. rewrite <- V.
    now apply (log_ratio_optimality_a reward dr penalty dp Row Pos Inv X l p q T Fp Fq). }
  assert (Eb : forall x, In x l -> exp (best x) = p x / q x).
  { intros x Hx. unfold best. apply exp_ln. apply Rdiv_pos; auto. }
  destruct (Lp) as [_ Sp1]. destruct (Lq) as [_ Sq1].
  split; [|split; [|split; [|split]]].
  - apply (Go _ (fun _ => 1) _ exp).
    + split; intros t; auto_derive; auto; ring.
    + intros; lra.
    + intros; ring.
    + unfold row_value. rewrite E_plus, E_const by auto.
      replace (E l q (fun x => exp (best x))) with 1; [unfold kl, E, best; ring|].
      rewrite <- Sp1. apply sum_ext. intros x Hx. rewrite Eb by auto. specialize (Fq x Hx). field. lra.
  - apply (Go _ (fun t => sg (- t)) _ sg).
    + split; intros t.
      * unfold sp. pose proof (exp_pos (- t)). auto_derive; [lra|]. rewrite sg_alt. field. lra.
      * unfold sp. pose proof (exp_pos t). auto_derive; [lra|]. rewrite sg_alt. field. lra.
    + intros; apply sg_pos.
    + intros t. rewrite !sg_alt, exp_Ropp. pose proof (exp_pos t). field. lra.
    + unfold row_value, jsd, kl, E, mixed. 
      transitivity (sum l (fun x => p x * ln (p x / ((1 - 1/2) * p x + 1/2 * q x)) + q x * ln (q x / ((1 - 1/2) * p x + 1/2 * q x)))).
      * rewrite <- sum_minus. apply sum_ext. intros x Hx. specialize (Fp x Hx). specialize (Fq x Hx).
        unfold sp. rewrite exp_Ropp, Eb by auto.
        replace (1 + / (p x / q x)) with ((p x + q x) / p x) by (field; lra).
        replace (1 + p x / q x) with ((p x + q x) / q x) by (field; lra).
        replace ((1 - 1/2) * p x + 1/2 * q x) with ((p x + q x) / 2) by field.
        rewrite !ln_div by lra. ring.
      * rewrite sum_plus. field.
  - apply (Go _ (fun t => exp (- t)) _ (fun _ => 1)).
    + split; intros t; auto_derive; auto; ring.
    + intros; apply exp_pos.
    + intros t. rewrite <- exp_plus, Rplus_opp_r, exp_0. reflexivity.
    + unfold row_value. rewrite E_minus, E_const by auto.
      assert (E1 : E l p (fun x => exp (- best x)) = 1).
      { rewrite <- Sq1. apply sum_ext. intros x Hx. rewrite exp_Ropp, Eb by auto. specialize (Fp x Hx). specialize (Fq x Hx). field. lra. }
      assert (E2 : E l q best = - kl l q p).
      { unfold kl. rewrite <- sum_opp. apply sum_ext. intros x Hx. specialize (Fp x Hx). specialize (Fq x Hx).
        unfold best. rewrite !ln_div by lra. ring. }
      rewrite E1. change (E l q (fun x => best x)) with (E l q best). rewrite E2. ring.
  - apply (Go _ (fun t => 2 * exp t) _ (fun t => 2 * exp (2 * t))).
    + split; intros t; auto_derive; auto; ring.
    + intros t. pose proof (exp_pos t). lra.
    + intros t. replace (2 * t) with (t + t) by ring. rewrite exp_plus. ring.
    + unfold row_value, chi2, E. rewrite <- sum_minus. apply sum_ext. intros x Hx.
      replace (2 * best x) with (best x + best x) by ring. rewrite exp_plus, Eb by auto.
      specialize (Fq x Hx). field. lra.
  - apply (Go _ (fun t => 1/2 * exp (- t / 2)) _ (fun t => 1/2 * exp (t / 2))).
    + split; intros t; auto_derive; auto; unfold Rdiv; field.
    + intros t. pose proof (exp_pos (- t / 2)). lra.
    + intros t. replace (exp t) with (exp (t / 2 + t / 2)) by (f_equal; field).
      replace (- t / 2) with (- (t / 2)) by field. rewrite exp_plus, exp_Ropp. pose proof (exp_pos (t / 2)). field. lra.
    + unfold row_value, E. rewrite <- sum_minus. apply sum_ext. intros x Hx.
      assert (R : 0 < p x / q x) by (apply Rdiv_pos; auto).
      assert (S : exp (best x / 2) = sqrt (p x / q x)).
      { rewrite <- (Eb x Hx), <- (sqrt_Rsqr (exp (best x / 2))) by (left; apply exp_pos). f_equal. unfold Rsqr.
        rewrite <- exp_plus. f_equal. field. }
      replace (- best x / 2) with (- (best x / 2)) by field. rewrite exp_Ropp, S.
      pose proof (sqrt_lt_R0 _ R) as Ps. pose proof (sqrt_sqrt (p x / q x) ltac:(lra)) as Q.
      set (s := sqrt (p x / q x)) in *. specialize (Fq x Hx).
      assert (Ep : p x = q x * (s * s)) by (rewrite Q; field; lra). rewrite Ep. field. lra.
Qed.
