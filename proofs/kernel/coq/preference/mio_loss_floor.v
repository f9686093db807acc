(** L_a starts at 2 ln 2, with a times DPO's gradient, and its floor is 2 ln 2 less the JS information. *)
From MI Require Import pairs preference.pairs_of_scores bounds.js_value_and_gap.

(** One response's share in 2 ln 2 - 2 JSD(p, q). *)
Definition share (a b : R) : R := a * - ln (a / (a + b)) + b * - ln (b / (a + b)).

Lemma jsd_shares {X} (l : list X) p q : law l p -> law l q ->
  2 * ln 2 - 2 * jsd l p q = sum l (fun x => share (p x) (q x)).
Proof.
  intros [Np Sp] [Nq Sq]. unfold jsd, kl, share.
  replace (2 * ln 2) with (ln 2 * sum l p + ln 2 * sum l q) by (rewrite Sp, Sq; ring).
  rewrite <- !sum_scal.
  transitivity (sum l (fun x => ln 2 * p x) + sum l (fun x => ln 2 * q x)
    - (sum l (fun x => p x * ln (p x / mixed (1/2) p q x)) + sum l (fun x => q x * ln (q x / mixed (1/2) p q x))));
    [field|].
  rewrite <- !sum_plus, <- sum_minus. apply sum_ext. intros x Hx. unfold mixed.
  replace ((1 - 1/2) * p x + 1/2 * q x) with ((p x + q x) / 2) by field.
  assert (S1 : forall a b, 0 <= a -> 0 <= b -> ln 2 * a - a * ln (a / ((a + b) / 2)) = a * - ln (a / (a + b))).
  { intros a b Ha Hb. destruct Ha as [Ha|<-]; [|ring]. rewrite !ln_div by lra. ring. }
  pose proof (S1 (p x) (q x) (Np x Hx) (Nq x Hx)).
  pose proof (S1 (q x) (p x) (Nq x Hx) (Np x Hx)).
  rewrite (Rplus_comm (q x) (p x)) in H0. lra.
Qed.

(** At the best score t = ln(a/b) a response's share is its part of the loss. *)
Lemma share_at_best a b : 0 < a -> 0 < b -> share a b = a * sp (- ln (a / b)) + b * sp (ln (a / b)).
Proof.
  intros Ha Hb. pose proof (Rdiv_pos a b Ha Hb). unfold share, sp.
  rewrite exp_Ropp, exp_ln by auto.
  replace (1 + / (a / b)) with ((a + b) / a) by (field; lra).
  replace (1 + a / b) with ((a + b) / b) by (field; lra).
  rewrite !ln_div by lra. ring.
Qed.

(** With masses p of the chosen and r of the rejected law: at least p F_a, and equal iff one of them is 0. *)
Lemma share_floor al p r : 0 < al < 1 -> 0 <= p -> 0 <= r ->
  let q := (1 - al) * p + al * r in
  p * floor_at al <= share p q /\ (share p q = p * floor_at al <-> p = 0 \/ r = 0).
Proof.
  intros Ha Hp Hr q. destruct Hp as [Hp|<-].
  - destruct Hr as [Hr|<-].
    + assert (Hq : 0 < q) by (unfold q; nra).
      assert (p * floor_at al < share p q); [|split; [lra|split; [intros; exfalso; lra|intros [|]; lra]]].
      rewrite share_at_best by auto. set (t := ln (p / q)).
      pose proof (own_min al t Ha). unfold own in H. pose proof (sp_pos t).
      assert (0 < al * r * sp t) by (apply Rmult_lt_0_compat; auto; apply Rmult_lt_0_compat; lra).
      apply (Rmult_le_compat_l p) in H; [|lra].
      replace (p * sp (- t) + q * sp t) with (p * (sp (- t) + (1 - al) * sp t) + al * r * sp t) by (unfold q; ring). lra.
    + assert (Eq : share p q = p * floor_at al); [|split; [lra|split; auto]].
      unfold share, q, floor_at. rewrite Rmult_0_r, Rplus_0_r.
      replace (p + (1 - al) * p) with ((2 - al) * p) by ring.
      replace (p / ((2 - al) * p)) with (/ (2 - al)) by (field; lra).
      replace ((1 - al) * p / ((2 - al) * p)) with ((1 - al) / (2 - al)) by (field; lra).
      rewrite ln_Rinv, ln_div by lra. ring.
  - assert (Eq : share 0 q = 0).
    { unfold share, q. rewrite Rmult_0_r, !Rplus_0_l. destruct Hr as [Hr|<-].
      - replace (al * r / (al * r)) with 1 by (field; lra). rewrite ln_1. ring.
      - ring. }
    rewrite Eq. split; [lra|]. split; [auto|intros; ring].
Qed.

Lemma mix_law {X} (l : list X) p r al : law l p -> law l r -> 0 < al < 1 -> law l (mixed al p r).
Proof. intros. apply law_mixed; auto; lra. Qed.

(** E L_a over chosen responses of law p and rejected ones of law r at the scores T. *)
Definition mean_loss {X} (l : list X) (al : R) (p r T : X -> R) : R :=
  E l p (fun y => sp (- T y) + (1 - al) * sp (T y)) + al * E l r (fun y => sp (T y)).

Lemma mean_loss_js {X} (l : list X) al p r T : mean_loss l al p r T = 2 * ln 2 - js l p (mixed al p r) T.
Proof. rewrite js_of_mixed. unfold mean_loss, own. ring. Qed.

(** (a) The infimum of E L_a over real scores is 2 ln 2 - 2 JSD(P, (1-a)P + aR) >= F_a, with equality iff P and R share no
    response; no score attains F_a, and over any law of pairs at all E L_a > F_a. *)
Theorem mio_loss_floor_a : forall (al : R), 0 < al < 1 ->
  (forall (X : Type) (l : list X) (p r : X -> R), law l p -> law l r ->
     let value := 2 * ln 2 - 2 * jsd l p (mixed al p r) in
     is_inf (fun v => exists T, v = mean_loss l al p r T) value
     /\ floor_at al <= value
     /\ (value = floor_at al <-> forall y, In y l -> p y = 0 \/ r y = 0)
     /\ (forall T, floor_at al < mean_loss l al p r T)
     /\ (forall A T, law (list_prod l l) A -> same l p (fst_law l A) -> same l r (snd_law l A) ->
           E (list_prod l l) A (fun c => js_loss al (T (fst c)) (T (snd c))) = mean_loss l al p r T))
  /\ (forall (I : Type) (i : list I) (w u v : I -> R), law i w ->
        floor_at al < E i w (fun k => js_loss al (u k) (v k))).
Proof.
  intros al Ha. split.
  - intros X l p r Lp Lr value. pose proof (mix_law l p r al Lp Lr Ha) as Lq.
    destruct (js_value_and_gap_b X l p (mixed al p r) Lp Lq) as [U L].
    assert (V : value = sum l (fun y => share (p y) (mixed al p r y))) by now apply jsd_shares.
    assert (F : floor_at al = sum l (fun y => p y * floor_at al)).
    { rewrite sum_scal_r. destruct Lp as [_ ->]. ring. }
    assert (B : forall y, In y l -> p y * floor_at al <= share (p y) (mixed al p r y)).
    { intros y Hy. destruct Lp as [Np _]. destruct Lr as [Nr _]. now apply (share_floor al (p y) (r y) Ha (Np y Hy) (Nr y Hy)). }
    split; [split|split; [|split; [|split]]].
    + intros v [T ->]. rewrite mean_loss_js. specialize (U _ (ex_intro _ T eq_refl)). unfold value. lra.
    + intros b Hb. assert (2 * jsd l p (mixed al p r) <= 2 * ln 2 - b); [|unfold value; lra].
      apply L. intros v [T ->]. specialize (Hb _ (ex_intro _ T eq_refl)). rewrite mean_loss_js in Hb. lra.
    + rewrite V, F. now apply sum_le.
    + rewrite V, F. split.
      * intros Eq y Hy. destruct Lp as [Np _]. destruct Lr as [Nr _].
        apply (share_floor al (p y) (r y) Ha (Np y Hy) (Nr y Hy)).
        symmetry. exact (sum_le_eq l (fun y => p y * floor_at al) (fun y => share (p y) (mixed al p r y)) B (eq_sym Eq) y Hy).
      * intros H. apply sum_ext. intros y Hy. destruct Lp as [Np _]. destruct Lr as [Nr _].
        apply (share_floor al (p y) (r y) Ha (Np y Hy) (Nr y Hy)). now apply H.
    + intros T. unfold mean_loss.
      assert (H1 : floor_at al <= E l p (fun y => sp (- T y) + (1 - al) * sp (T y))).
      { rewrite <- (E_const l p (floor_at al) Lp). apply E_le; auto. intros y _ _. exact (own_min al (T y) Ha). }
      assert (H2 : 0 < E l r (fun y => sp (T y))).
      { rewrite <- (E_const l r 0 Lr). apply E_lt; auto. intros; apply sp_pos. }
      assert (0 < al * E l r (fun y => sp (T y))) by (apply Rmult_lt_0_compat; lra). lra.
    + intros A T LA S1 S2.
      rewrite (E_ext _ _ _ (fun c => own al (T (fst c)) + al * sp (T (snd c)))) by reflexivity.
      rewrite E_plus, E_scal, (E_fst l l A (fun x => own al (T x))), (E_snd l l A (fun x => sp (T x))).
      unfold mean_loss. f_equal; [|f_equal]; apply sum_ext; intros y Hy; [now rewrite (S1 y Hy)|now rewrite (S2 y Hy)].
  - intros I i w u v Lw. rewrite <- (E_const i w (floor_at al) Lw). apply E_lt; auto.
    intros; now apply floor_lt_js_loss.
Qed.

Lemma floor_pos al : 0 < al < 1 -> 0 < floor_at al.
Proof.
  intros H. rewrite <- own_anchor by auto. unfold own. set (u := - ln (1 - al)).
  pose proof (sp_pos u). pose proof (sp_pos (- u)).
  assert (0 < (1 - al) * sp u) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

(** (b) 2 ln 2 - F_a is the JS information of the point masses; F_a falls strictly from 2 ln 2 (a -> 0) to 0 (a -> 1);
    F_{1/2} = ln(3 sqrt 3/2). *)
Theorem mio_loss_floor_b :
  (forall al, 0 < al < 1 -> 2 * ln 2 - floor_at al = 2 * jsd two chosen (mixed al chosen rejected))
  /\ (forall a b, 0 < a -> a < b -> b < 1 -> floor_at b < floor_at a)
  /\ (forall e, 0 < e -> exists d, 0 < d /\ forall a, 0 < a < d -> 2 * ln 2 - e < floor_at a < 2 * ln 2)
  /\ (forall e, 0 < e -> exists d, d < 1 /\ forall a, d < a < 1 -> 0 < floor_at a < e)
  /\ floor_at (1/2) = ln (3 * sqrt 3 / 2).
Proof.
  assert (Two : law two chosen /\ law two rejected).
  { split; (split; [intros [|] _; unfold chosen, rejected; lra|unfold two; simpl; ring]). }
  split; [|split; [|split; [|split]]].
  - intros al Ha. destruct (mio_loss_floor_a al Ha) as [H _].
    destruct (H bool two chosen rejected (proj1 Two) (proj2 Two)) as [_ [_ [[_ Eq] _]]].
    rewrite <- Eq; [ring|]. intros [|] _; unfold chosen, rejected; auto.
  - intros a b Ha Hab Hb. rewrite <- (own_anchor a) by lra. set (u := - ln (1 - a)).
    pose proof (own_min b u ltac:(lra)). unfold own in *. pose proof (sp_pos u). nra.
  - intros e He. exists (Rmin (1/2) (e / 2)). split; [apply Rmin_glb_lt; lra|].
    intros a [H0 H1]. pose proof (Rmin_l (1/2) (e / 2)). pose proof (Rmin_r (1/2) (e / 2)).
    pose proof ln_2_pos.
    assert (U : floor_at a <= own a 0) by (apply own_min; lra). unfold own in U. rewrite Ropp_0, sp_0 in U.
    assert (L : 2 * ln 2 - 2 * a < floor_at a); [|split; nra].
    rewrite <- own_anchor by lra. set (u := - ln (1 - a)).
    assert (Pair : 2 * ln 2 <= sp (- u) + sp u).
    { pose proof (sp_tangent u 0) as T1. pose proof (sp_tangent (- u) 0) as T2. rewrite sp_0, sg_0 in *. lra. }
    assert (S : sp u < 2).
    { unfold sp, u. rewrite exp_Ropp, exp_ln by lra.
      assert (1 + / (1 - a) <= 3).
      { assert (/ (1 - a) <= 2); [|lra]. rewrite <- (Rinv_inv 2). apply Rinv_le_contravar; lra. }
      pose proof (ln_lt_sub 3 ltac:(lra) ltac:(lra)).
      assert (ln (1 + / (1 - a)) <= ln 3); [|lra].
      pose proof (Rinv_0_lt_compat (1 - a) ltac:(lra)). apply ln_le_iff; lra. }
    unfold own. nra.
  - intros e He. destruct (exp_small (e / 2) ltac:(lra)) as [k [Hk Hek]].
    exists (1 - Rmin (1/2) (e / 2 / sp k)). pose proof (sp_pos k).
    assert (Pd : 0 < e / 2 / sp k) by (apply Rdiv_pos; lra).
    assert (0 < Rmin (1/2) (e / 2 / sp k)) by (apply Rmin_glb_lt; lra).
    split; [lra|]. intros a Ha. pose proof (Rmin_l (1/2) (e / 2 / sp k)). pose proof (Rmin_r (1/2) (e / 2 / sp k)).
    split; [apply floor_pos; lra|].
    apply Rle_lt_trans with (own a k); [apply own_min; lra|]. unfold own. pose proof (sp_lt_exp (- k)).
    assert ((1 - a) * sp k < e / 2).
    { replace (e / 2) with (e / 2 / sp k * sp k) by (field; lra). apply Rmult_lt_compat_r; lra. }
    lra.
  - unfold floor_at. replace (2 - 1/2) with (3/2) by field. replace (1 - 1/2) with (1/2) by field.
    pose proof (sqrt_lt_R0 3 ltac:(lra)).
    rewrite !ln_div, ln_1, ln_mult by lra.
    assert (Ls : ln (sqrt 3) = ln 3 / 2).
    { assert (ln 3 = ln (sqrt 3) + ln (sqrt 3)); [|lra]. rewrite <- ln_mult, sqrt_sqrt; lra. }
    rewrite Ls. field.
Qed.

(** (c) At z = 0 the loss is 2 ln 2 for every a and its gradient a beta/2 (-1, 1): a times DPO's, and DPO's own at the
    temperature beta/a; the second derivatives in z_w differ even then. *)
Theorem mio_loss_floor_c : forall al beta : R, 0 < al < 1 -> 0 < beta ->
  js_loss al (beta * 0) (beta * 0) = 2 * ln 2
  /\ is_derive (fun z => js_loss al (beta * z) (beta * 0)) 0 (- (al * beta / 2))
  /\ is_derive (fun z => js_loss al (beta * 0) (beta * z)) 0 (al * beta / 2)
  /\ is_derive (fun z => dpo (beta * z) (beta * 0)) 0 (- (beta / 2))
  /\ is_derive (fun z => dpo (beta * 0) (beta * z)) 0 (beta / 2)
  /\ is_derive (fun z => js_loss al (beta / al * z) (beta / al * 0)) 0 (- (beta / 2))
  /\ is_derive (fun z => js_loss al (beta / al * 0) (beta / al * z)) 0 (beta / 2)
  /\ (forall z, is_derive (fun z => dpo (beta * z) 0) z (- (beta * sg (- (beta * z)))))
  /\ is_derive (fun z => - (beta * sg (- (beta * z)))) 0 (beta ^ 2 / 4)
  /\ (forall z, is_derive (fun z => js_loss al (beta / al * z) 0) z (beta / al * ((2 - al) * sg (beta / al * z) - 1)))
  /\ is_derive (fun z => beta / al * ((2 - al) * sg (beta / al * z) - 1)) 0 ((beta / al) ^ 2 * ((2 - al) / 4))
  /\ (beta / al) ^ 2 * ((2 - al) / 4) <> beta ^ 2 / 4.
Proof.
  intros al beta Ha Hb.
  assert (Lin : forall (f : R -> R) df c z, is_derive f (c * z) df -> is_derive (fun z => f (c * z)) z (c * df)).
  { intros f df c z H. evar_last; [apply (is_derive_comp f (fun z => c * z)); [exact H|auto_derive; auto]|].
    unfold scal. simpl. unfold mult. simpl. ring. }
  assert (W : forall c z k, is_derive (fun z => js_loss al (c * z) k) z (c * ((2 - al) * sg (c * z) - 1))).
  { intros c z k. apply (Lin (fun u => js_loss al u k)). replace ((2 - al) * sg (c * z) - 1) with ((2 - al) * sg (c * z) - 1 + 0) by ring.
    unfold js_loss. apply (is_derive_plus (own al) (fun _ => al * sp k)); [apply derive_own|apply @is_derive_const]. }
  assert (V : forall c z k, is_derive (fun z => js_loss al k (c * z)) z (c * (al * sg (c * z)))).
  { intros c z k. apply (Lin (fun v => js_loss al k v)). replace (al * sg (c * z)) with (0 + al * sg (c * z)) by ring.
    unfold js_loss. apply (is_derive_plus (fun _ => own al k) (fun v => al * sp v)); [apply @is_derive_const|].
    apply is_derive_scal. apply derive_sp. }
  assert (DW : forall z k, is_derive (fun z => dpo (beta * z) k) z (- (beta * sg (k - beta * z)))).
  { intros z k. replace (- (beta * sg (k - beta * z))) with (beta * (- sg (k - beta * z))) by ring. apply (Lin (fun u => dpo u k)).
    unfold dpo. evar_last; [apply (is_derive_comp sp (fun u => k - u)); [apply derive_sp|auto_derive; auto]|].
    unfold scal. simpl. unfold mult. simpl. ring. }
  assert (DL : forall z k, is_derive (fun z => dpo k (beta * z)) z (beta * sg (beta * z - k))).
  { intros z k. apply (Lin (fun v => dpo k v)).
    unfold dpo. evar_last; [apply (is_derive_comp sp (fun v => v - k)); [apply derive_sp|auto_derive; auto]|].
    unfold scal. simpl. unfold mult. simpl. ring. }
  assert (SG : forall c, is_derive (fun z => sg (c * z)) 0 (c * (1/4))).
  { intros c. apply (Lin sg). rewrite Rmult_0_r. replace (1/4) with (sg 0 * (1 - sg 0)) by (rewrite sg_0; lra). apply derive_sg. }
  split; [rewrite Rmult_0_r; apply js_loss_0|].
  split; [|split; [|split; [|split; [|split; [|split; [|split; [|split; [|split; [|split]]]]]]]]].
  - evar_last; [apply W|]. rewrite !Rmult_0_r, sg_0. field.
  - evar_last; [apply V|]. rewrite !Rmult_0_r, sg_0. field.
  - evar_last; [apply DW|]. rewrite !Rmult_0_r, Rminus_0_r, sg_0. field.
  - evar_last; [apply DL|]. rewrite !Rmult_0_r, Rminus_0_r, sg_0. field.
  - evar_last; [apply W|]. rewrite !Rmult_0_r, sg_0. field. lra.
  - evar_last; [apply V|]. rewrite !Rmult_0_r, sg_0. field. lra.
  - intros z. evar_last; [apply DW|]. do 3 f_equal. ring.
  - apply (is_derive_ext (fun z => - beta * sg (- beta * z))).
    + intros t. replace (- beta * t) with (- (beta * t)) by ring. change (- beta * sg (- (beta * t)) = - (beta * sg (- (beta * t)))). ring.
    + evar_last; [apply is_derive_scal; apply SG|]. change (- beta * (- beta * (1/4)) = beta ^ 2 / 4). field.
  - intros z. apply W.
  - evar_last; [apply is_derive_scal; apply @is_derive_minus; [apply is_derive_scal; apply SG|apply @is_derive_const]|].
    unfold minus, plus, opp, zero. simpl. field. lra.
  - intros C. assert (C' : beta ^ 2 * (2 - al) = beta ^ 2 * al ^ 2).
    { replace (beta ^ 2 * al ^ 2) with (4 * al ^ 2 * (beta ^ 2 / 4)) by field. rewrite <- C. field. lra. }
    apply Rmult_eq_reg_l in C'; [nra|]. apply pow_nonzero. lra.
Qed.
