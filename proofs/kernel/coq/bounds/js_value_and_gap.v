(** The JS bound of 2 JSD and its exact gap, on any finite set. *)
From MI Require Import lemmas.

(** One atom, of masses a under P and b under Q, at the score t. *)
Definition atom_gap (a b t : R) : R := (a + b) * bern (a / (a + b)) (sg t).

Lemma atom_identity a b t : 0 <= a -> 0 <= b ->
  a * ln (a / ((1 - 1/2) * a + 1/2 * b)) + b * ln (b / ((1 - 1/2) * a + 1/2 * b))
    - ((a + b) * ln 2 - a * sp (- t) - b * sp t) = atom_gap a b t.
Proof.
  intros Ha Hb. unfold atom_gap, bern.
  pose proof (sg_pos t). pose proof (sg_lt_1 t). pose proof ln_2_pos.
  replace ((1 - 1/2) * a + 1/2 * b) with ((a + b) / 2) by field.
  destruct Ha as [Ha|<-]; destruct Hb as [Hb|<-].
  - replace (1 - a / (a + b)) with (b / (a + b)) by (field; lra).
    pose proof (Rdiv_pos a (a + b) Ha ltac:(lra)). pose proof (Rdiv_pos b (a + b) Hb ltac:(lra)).
    rewrite !ln_div; try lra. rewrite ln_sg, ln_1_sg. field. lra.
  - rewrite Rplus_0_r. replace (a / (a / 2)) with 2 by (field; lra).
    replace (a / a) with 1 by (field; lra). rewrite Rminus_eq_0, Rmult_0_l.
    rewrite (ln_div 1), ln_1, ln_sg by lra. ring.
  - rewrite !Rplus_0_l. replace (b / (b / 2)) with 2 by (field; lra).
    replace (0 / b) with 0 by (field; lra). rewrite Rmult_0_l, Rminus_0_r.
    rewrite (ln_div 1), ln_1, ln_1_sg by lra. ring.
  - ring.
Qed.

Lemma js_gap_sum {X} (l : list X) p q T : law l p -> law l q ->
  2 * jsd l p q - js l p q T = sum l (fun x => atom_gap (p x) (q x) (T x)).
Proof.
  intros [Np Sp] [Nq Sq].
  rewrite <- (sum_ext l _ _ (fun x Hx => atom_identity (p x) (q x) (T x) (Np x Hx) (Nq x Hx))).
  rewrite sum_minus, sum_plus.
  rewrite (sum_ext l (fun x => (p x + q x) * ln 2 - p x * sp (- T x) - q x * sp (T x))
    (fun x => (p x * ln 2 + q x * ln 2) - p x * sp (- T x) - q x * sp (T x))) by (intros; ring).
  rewrite !sum_minus, sum_plus, !sum_scal_r, Sp, Sq.
  unfold jsd, js, kl, mixed, E. field.
Qed.

Lemma atom_gap_nonneg a b t : 0 <= a -> 0 <= b -> 0 <= atom_gap a b t.
Proof.
  intros Ha Hb. unfold atom_gap.
  destruct (Req_dec (a + b) 0) as [->|N]; [lra|].
  apply Rmult_le_pos; [lra|]. apply bern_nonneg.
  - split; [apply Rmult_le_pos; [auto|left; apply Rinv_0_lt_compat; lra]|].
    apply (Rmult_le_reg_r (a + b)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
  - split; [apply sg_pos|apply sg_lt_1].
Qed.

Lemma atom_gap_zero a b t : 0 <= a -> 0 <= b -> 0 < a + b ->
  (atom_gap a b t = 0 <-> 0 < a /\ 0 < b /\ t = ln (a / b)).
Proof.
  intros Ha Hb N. unfold atom_gap. pose proof (sg_pos t). pose proof (sg_lt_1 t).
  assert (B : 0 <= a / (a + b) <= 1).
  { split; [apply Rmult_le_pos; [auto|left; apply Rinv_0_lt_compat; lra]|].
    apply (Rmult_le_reg_r (a + b)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  pose proof (bern_zero (a / (a + b)) (sg t) B ltac:(lra)) as K. split.
  - intros G. apply Rmult_integral in G. destruct G as [G|G]; [lra|].
    apply K in G. assert (Ea : a = sg t * (a + b)) by (rewrite <- G; field; lra).
    assert (0 < a) by nra. assert (0 < b) by nra. split; [auto|]. split; [auto|].
    rewrite <- (logit_sg t), <- G. unfold logit. f_equal. field. lra.
  - intros [Pa [Pb ->]]. rewrite (proj2 K); [ring|].
    unfold sg. rewrite exp_Ropp, exp_ln by now apply Rdiv_pos. field. lra.
Qed.

(** (a) 2 JSD - V(T) = 2 E_M KL(Bern(eta)|Bern(sigma(T))) >= 0 with M = (P + Q)/2 and eta = p/(p + q); it is 0 iff
    T = ln dP/dQ on the support of M, where both laws then have mass. *)
Theorem js_value_and_gap_a : forall (X : Type) (l : list X) (p q T : X -> R),
  law l p -> law l q ->
  2 * jsd l p q - js l p q T
    = 2 * E l (mixed (1/2) p q) (fun x => bern (p x / (p x + q x)) (sg (T x)))
  /\ 0 <= 2 * jsd l p q - js l p q T
  /\ (2 * jsd l p q - js l p q T = 0 <->
      forall x, In x l -> 0 < p x + q x -> 0 < p x /\ 0 < q x /\ T x = ln (p x / q x)).
Proof.
  intros X l p q T Lp Lq. rewrite js_gap_sum by auto. destruct Lp as [Np Sp]. destruct Lq as [Nq Sq].
  assert (G : forall x, In x l -> 0 <= atom_gap (p x) (q x) (T x))
    by (intros x Hx; apply atom_gap_nonneg; auto).
  split; [|split].
  - unfold E. rewrite <- sum_scal. apply sum_ext. intros x _. unfold atom_gap, mixed. field.
  - now apply sum_nonneg.
  - split.
    + intros S x Hx N. apply atom_gap_zero; auto. now apply (sum_nonneg_0 l (fun x => atom_gap (p x) (q x) (T x))).
    + intros H. rewrite <- (sum_0 l). apply sum_ext. intros x Hx.
      pose proof (Np x Hx). pose proof (Nq x Hx).
      destruct (Req_dec (p x + q x) 0) as [Z0|N]; [unfold atom_gap; rewrite Z0; ring|].
      apply atom_gap_zero; auto; try lra. apply H; auto; lra.
Qed.

(** (b) 2 JSD is the supremum of V over real critics. *)
Theorem js_value_and_gap_b : forall (X : Type) (l : list X) (p q : X -> R),
  law l p -> law l q -> is_lub (fun v => exists T, v = js l p q T) (2 * jsd l p q).
Proof.
  intros X l p q Lp Lq. split.
  - intros v [T ->]. destruct (js_value_and_gap_a X l p q T Lp Lq) as [_ [H _]]. lra.
  - intros b Hb. destruct (Rle_lt_dec (2 * jsd l p q) b) as [|C]; auto. exfalso.
    destruct (exp_small ((2 * jsd l p q - b) / 2) ltac:(lra)) as [k [_ Hk]].
    set (T := fun x => if Rlt_dec 0 (p x) then if Rlt_dec 0 (q x) then ln (p x / q x) else k else - k).
    specialize (Hb (js l p q T) (ex_intro _ T eq_refl)).
    assert (G : sum l (fun x => atom_gap (p x) (q x) (T x)) <= sum l (fun x => exp (- k) * p x + exp (- k) * q x)).
    { destruct Lp as [Np _]. destruct Lq as [Nq _]. apply sum_le. intros x Hx.
      pose proof (Np x Hx). pose proof (Nq x Hx). pose proof (exp_pos (- k)). unfold T.
      destruct (Rlt_dec 0 (p x)) as [Hp|Hp]; [destruct (Rlt_dec 0 (q x)) as [Hq|Hq]|].
      - destruct (atom_gap_zero (p x) (q x) (ln (p x / q x)) H H0 ltac:(lra)) as [_ K].
        rewrite K; auto. nra.
      - replace (q x) with 0 by lra. unfold atom_gap, bern.
        rewrite Rplus_0_r. replace (p x / p x) with 1 by (field; lra). pose proof (sg_pos k).
        rewrite Rminus_eq_0, Rmult_0_l, (ln_div 1), ln_1, ln_sg by lra. pose proof (sp_lt_exp (- k)). nra.
      - replace (p x) with 0 by lra. unfold atom_gap, bern. rewrite Rplus_0_l.
        replace (0 / q x) with 0 by (unfold Rdiv; ring). rewrite Rmult_0_l, Rminus_0_r.
        pose proof (sg_lt_1 (- k)). rewrite (ln_div 1), ln_1, ln_1_sg by lra.
        pose proof (sp_lt_exp (- k)). nra. }
    rewrite <- js_gap_sum in G by auto. rewrite sum_plus, !sum_scal in G.
    destruct Lp as [_ Sp]. destruct Lq as [_ Sq]. rewrite Sp, Sq in G. lra.
Qed.

(** (c) V < 2 ln 2; 2 JSD <= 2 ln 2, with equality iff P and Q share no atom. *)
Theorem js_value_and_gap_c : forall (X : Type) (l : list X) (p q : X -> R),
  law l p -> law l q ->
  (forall T, js l p q T < 2 * ln 2)
  /\ 2 * jsd l p q <= 2 * ln 2
  /\ (2 * jsd l p q = 2 * ln 2 <-> forall x, In x l -> p x = 0 \/ q x = 0).
Proof.
  intros X l p q Lp Lq.
  assert (V : forall T, js l p q T < 2 * ln 2).
  { intros T. unfold js.
    assert (0 < E l p (fun x => sp (- T x))).
    { rewrite <- (E_const l p 0 Lp). apply E_lt; auto. intros; apply sp_pos. }
    assert (0 < E l q (fun x => sp (T x))).
    { rewrite <- (E_const l q 0 Lq). apply E_lt; auto. intros; apply sp_pos. }
    lra. }
  (* 2 ln 2 - 2 JSD is a sum of shares -a ln(a/(a+b)) - b ln(b/(a+b)) >= 0 *)
  assert (D : 2 * ln 2 - 2 * jsd l p q
    = sum l (fun x => p x * - ln (p x / (p x + q x)) + q x * - ln (q x / (p x + q x)))).
  { destruct Lp as [Np Sp]. destruct Lq as [Nq Sq]. unfold jsd, kl.
    replace (2 * ln 2) with (ln 2 * sum l p + ln 2 * sum l q) by (rewrite Sp, Sq; ring).
    rewrite <- !sum_scal.
    transitivity (sum l (fun x => ln 2 * p x) + sum l (fun x => ln 2 * q x)
      - (sum l (fun x => p x * ln (p x / mixed (1/2) p q x)) + sum l (fun x => q x * ln (q x / mixed (1/2) p q x))));
      [field|].
    rewrite <- !sum_plus, <- sum_minus. apply sum_ext. intros x Hx. unfold mixed.
    replace ((1 - 1/2) * p x + 1/2 * q x) with ((p x + q x) / 2) by field.
    assert (S1 : forall a b, 0 <= a -> 0 <= b ->
      ln 2 * a - a * ln (a / ((a + b) / 2)) = a * - ln (a / (a + b))).
    { intros a b Ha Hb. destruct Ha as [Ha|<-]; [|ring].
      rewrite !ln_div by lra. ring. }
    pose proof (S1 (p x) (q x) (Np x Hx) (Nq x Hx)).
    pose proof (S1 (q x) (p x) (Nq x Hx) (Np x Hx)).
    rewrite (Rplus_comm (q x) (p x)) in H0. lra. }
  assert (P0 : forall a b, 0 <= a -> 0 <= b -> 0 <= a * - ln (a / (a + b))
                            /\ (a * - ln (a / (a + b)) = 0 <-> a = 0 \/ b = 0)).
  { intros a b Ha Hb. destruct Ha as [Ha|<-]; [|split; [lra|]; split; [auto|intros; ring]].
    destruct Hb as [Hb|<-].
    - assert (ln (a / (a + b)) < 0).
      { apply ln_neg. split; [apply Rdiv_pos; lra|].
        apply (Rmult_lt_reg_r (a + b)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
      split; [nra|]. split; [intros C; nra|intros [|]; lra].
    - rewrite Rplus_0_r. replace (a / a) with 1 by (field; lra). rewrite ln_1.
      split; [lra|]. split; [auto|intros; lra]. }
  destruct Lp as [Np Sp]. destruct Lq as [Nq Sq].
  assert (N : forall x, In x l ->
     0 <= p x * - ln (p x / (p x + q x)) + q x * - ln (q x / (p x + q x))).
  { intros x Hx. pose proof (P0 (p x) (q x) (Np x Hx) (Nq x Hx)).
    pose proof (P0 (q x) (p x) (Nq x Hx) (Np x Hx)). rewrite (Rplus_comm (q x) (p x)) in H0. lra. }
  split; [auto|]. split; [pose proof (sum_nonneg l _ N); lra|]. split.
  - intros Eq x Hx.
    assert (S0 := sum_nonneg_0 l _ N ltac:(lra) x Hx). cbv beta in S0.
    destruct (P0 (p x) (q x) (Np x Hx) (Nq x Hx)) as [A1 A2].
    destruct (P0 (q x) (p x) (Nq x Hx) (Np x Hx)) as [B1 _]. rewrite (Rplus_comm (q x) (p x)) in B1.
    apply A2. lra.
  - intros H. assert (S0 : sum l (fun x => p x * - ln (p x / (p x + q x)) + q x * - ln (q x / (p x + q x))) = 0).
    { rewrite <- (sum_0 l). apply sum_ext. intros x Hx.
      destruct (P0 (p x) (q x) (Np x Hx) (Nq x Hx)) as [_ A2].
      destruct (P0 (q x) (p x) (Nq x Hx) (Np x Hx)) as [_ B2]. rewrite (Rplus_comm (q x) (p x)) in B2.
      destruct (H x Hx); rewrite (proj2 A2), (proj2 B2); auto; ring. }
    lra.
Qed.
