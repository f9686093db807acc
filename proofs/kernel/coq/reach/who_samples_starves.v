(** A rare correct answer that must be drawn is missed under every bound; a supplied one starves none at first. *)
From MI Require Import numbers softmax exchangeable preference.pairs_of_scores.

(** Bounds with the policy in the part of Q and the critic held fixed: w(y) = e^{T(y)}, sp(T) = ln(1 + w). *)
Definition dv_part {X} (l : list X) (w policy : X -> R) : R := - ln (E l policy w).
Definition nwj_part {X} (l : list X) (w policy : X -> R) : R := - E l policy w.
Definition js_part {X} (l : list X) (w policy : X -> R) : R := - E l policy (fun y => ln (1 + w y)).

(** The derivative along d of sum_y omega_y ln pi(y), pi held in omega: sum_y omega_y (d_y - E_pi d). *)
Definition along_log {X} (l : list X) (omega policy d : X -> R) : R := sum l (fun y => omega y * (d y - E l policy d)).

(** (a) With T_star = ln dP/dpi held fixed, minus the gradient is sum omega_y grad ln pi(y): omega = P for DV and NWJ,
    pi ln(1 + P/pi) for JS, in every direction of the logits. For P on y+ alone omega is 1, or p ln(1 + 1/p) < sqrt p. *)
Theorem who_samples_starves_a :
  (forall (X : Type) (l : list X) (P t d : X -> R), l <> [] -> law l P ->
     let p := soft l t in
     let w := fun y => P y / p y in
     is_derive (fun s => dv_part l w (soft l (along t d s))) 0 (- along_log l P p d)
     /\ is_derive (fun s => nwj_part l w (soft l (along t d s))) 0 (- along_log l P p d)
     /\ is_derive (fun s => js_part l w (soft l (along t d s))) 0 (- along_log l (fun y => p y * ln (1 + P y / p y)) p d)
     /\ (forall y, In y l -> P y = 0 -> p y * ln (1 + P y / p y) = 0))
  /\ (forall p, 0 < p < 1 -> p * ln (1 + 1 / p) < sqrt p)
  /\ Rabs (1 / 10 ^ 6 * ln (1 + 1 / (1 / 10 ^ 6)) - 14 / 10 ^ 6) < 5 / 10 ^ 7.
Proof.
  split; [|split].
  - intros X l P t d NE LP p w. pose proof (law_soft l NE t) as L. fold p in L.
    assert (Pp : forall y, 0 < p y) by (intros; now apply soft_pos).
    assert (S0 : forall y, soft l (along t d 0) y = p y).
    { intros y. unfold p, soft, along. rewrite Rmult_0_l, Rplus_0_r. f_equal. apply sum_ext. intros; now rewrite Rmult_0_l, Rplus_0_r. }
    assert (M0 : forall f, E l (soft l (along t d 0)) f = E l p f) by (intros; apply sum_ext; intros; now rewrite S0).
    assert (W1 : E l p w = 1).
    { destruct LP as [_ S]. rewrite <- S. apply sum_ext. intros y _. unfold w. pose proof (Pp y). field. lra. }
    assert (Dm : forall f, is_derive (fun s => E l (soft l (along t d s)) f) 0 (E l p (fun y => (d y - E l p d) * f y))).
    { intros f. evar_last; [apply derive_mean; auto|]. rewrite !M0. reflexivity. }
    assert (Ew : E l p (fun y => (d y - E l p d) * w y) = along_log l P p d).
    { apply sum_ext. intros y _. unfold w. pose proof (Pp y). field. lra. }
    split; [|split; [|split]].
    + unfold dv_part. apply @is_derive_opp. evar_last.
      * apply (is_derive_comp ln (fun s => E l (soft l (along t d s)) w)); [|apply Dm].
        rewrite M0, W1. apply is_derive_Reals. apply derivable_pt_lim_ln. lra.
      * rewrite Ew. unfold scal. simpl. unfold mult. simpl. field.
    + unfold nwj_part. apply @is_derive_opp. rewrite <- Ew. apply Dm.
    + unfold js_part. apply @is_derive_opp. evar_last; [apply Dm|].
      apply sum_ext. intros y _. unfold w. ring.
    + intros y _ H. rewrite H. unfold Rdiv. rewrite Rmult_0_l, Rplus_0_r, ln_1. ring.
  - intros p Hp. pose proof (sqrt_lt_R0 p ltac:(lra)) as Ps. pose proof (sqrt_sqrt p ltac:(lra)) as Q.
    set (r := sqrt p) in *.
    (* ln(1 + x^2) < x for x = 1/r > 0: e^x > 1 + x + x^2/2 + ... *)
    assert (K : forall x, 0 < x -> ln (1 + x * x) < x).
    { intros x Hx. set (f := fun x => x - ln (1 + x * x)). set (df := fun x => (x - 1) * (x - 1) / (1 + x * x)).
      assert (Df : forall c, derivable_pt_lim f c (df c)).
      { intros c. apply is_derive_Reals. unfold f, df. auto_derive; [nra|]. field. nra. }
      assert (Mono : forall a b, a < b -> f a <= f b).
      { intros a b Hab. destruct (MVT_cor2 f df a b Hab (fun c _ => Df c)) as [c [Eq _]].
        assert (0 <= df c); [|nra]. unfold df. apply Rmult_le_pos; [apply Rle_0_sqr|left; apply Rinv_0_lt_compat; nra]. }
      assert (Strict : forall a b, a < b -> (b <= 1 \/ 1 <= a) -> f a < f b).
      { intros a b Hab Side. destruct (MVT_cor2 f df a b Hab (fun c _ => Df c)) as [c [Eq [H1 H2]]].
        assert (0 < df c); [|nra]. unfold df. apply Rdiv_pos; [|nra]. apply Rsqr_pos_lt. destruct Side; lra. }
      assert (F0 : f 0 = 0) by (unfold f; rewrite Rmult_0_l, Rplus_0_r, ln_1; ring).
      assert (0 < f x); [|unfold f in *; lra].
      destruct (Rle_lt_dec x 1) as [C|C].
      - rewrite <- F0. apply Strict; auto.
      - pose proof (Strict 0 1 ltac:(lra) ltac:(lra)). pose proof (Mono 1 x C). lra. }
    pose proof (K (/ r) (Rinv_0_lt_compat _ Ps)) as H.
    assert (I : / r * / r = 1 / p) by (rewrite <- Q; field; lra). rewrite I in H.
    rewrite <- Q at 1. apply (Rmult_lt_compat_l (r * r)) in H; [|nra].
    replace (r * r * / r) with r in H by (field; lra). exact H.
  - interval with (i_prec 60).
Qed.

(** (b) Of n draws none is y+ with probability (1 - p)^n; a sum over the draws then has no term at y+, whatever its weights. *)
Theorem who_samples_starves_b : forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X) (policy : X -> R)
    (best : X) (n : nat),
  NoDup l -> law l policy -> In best l ->
  let hit := existsb (fun y => if dec y best then true else false) in
  E (tuples n l) (iid policy) (fun s => if hit s then 0 else 1) = (1 - policy best) ^ n
  /\ (forall (s : list X) (weight : X -> R), hit s = false -> sum s (fun y => weight y * at_ dec best y) = 0).
Proof.
  intros X dec l p best n N L Hb hit. split.
  - induction n as [|n IH]; [unfold E; simpl; unfold iid; simpl; ring|].
    unfold E at 1. rewrite sum_tuples_S.
    rewrite (sum_ext l _ (fun y => (p y - p y * at_ dec best y) * (1 - p best) ^ n)).
    + rewrite sum_scal_r, sum_minus, sum_at by auto. destruct L as [_ ->]. simpl. ring.
    + intros y _. rewrite <- IH. unfold E. rewrite <- sum_scal. apply sum_ext. intros s _. unfold iid, hit, at_. cbn [product existsb].
      destruct (dec y best); simpl; [ring|]. fold (hit s). destruct (hit s); ring.
  - intros s weight H. rewrite <- (sum_0 s). apply sum_ext. intros y Hy. unfold at_. destruct (dec y best) as [D|]; [|ring].
    exfalso. assert (hit s = true); [|congruence]. apply existsb_exists. exists y. split; auto. destruct (dec y best); congruence.
Qed.

(** (c) Supplied as y_w of a pair: the loss puts beta sigma(beta (z_l - z_w)) (DPO) or beta (1 - (2 - a) sigma(beta z_w)) (JS)
    on grad ln pi(y_w): beta/2 or a beta/2 at the reference, larger for z_w < z_l or z_w < 0, and it tends to beta as
    z_w sinks. *)
Theorem who_samples_starves_c : forall (beta a : R), 0 < beta -> 0 < a <= 1 ->
  let dpo_pull := fun zw zl => beta * sg (beta * (zl - zw)) in
  let js_pull := fun zw => beta * (1 - (2 - a) * sg (beta * zw)) in
  (forall zw zl, is_derive (fun z => - dpo (beta * z) (beta * zl)) zw (dpo_pull zw zl))
  /\ (forall zw zl, is_derive (fun z => - js_loss a (beta * z) (beta * zl)) zw (js_pull zw))
  /\ dpo_pull 0 0 = beta / 2 /\ js_pull 0 = a * beta / 2
  /\ (forall zw zl, zw < zl -> beta / 2 < dpo_pull zw zl) /\ (forall zw, zw < 0 -> a * beta / 2 < js_pull zw)
  /\ (forall zl e, 0 < e -> exists z0, forall zw, zw < z0 -> beta - e < dpo_pull zw zl < beta)
  /\ (forall e, 0 < e -> exists z0, forall zw, zw < z0 -> beta - e < js_pull zw < beta).
Proof.
  intros beta a Hb Ha dpo_pull js_pull.
  assert (Small : forall e, 0 < e -> exists t0, forall t, t < t0 -> 0 < sg t < e).
  { intros e He. destruct (exp_small e He) as [k [_ Hk]]. exists (- k). intros t Ht. split; [apply sg_pos|].
    apply Rlt_trans with (exp t); [|pose proof (exp_increasing t (- k) Ht); lra].
    rewrite sg_alt. pose proof (exp_pos t). apply (Rmult_lt_reg_r (1 + exp t)); [lra|].
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  split; [|split; [|split; [|split; [|split; [|split; [|split]]]]]].
  - intros zw zl. unfold dpo, dpo_pull.
    replace (beta * sg (beta * (zl - zw))) with (- (sg (beta * zl - beta * zw) * (- beta))) by (replace (beta * zl - beta * zw) with (beta * (zl - zw)) by ring; ring).
    apply @is_derive_opp. evar_last; [apply (is_derive_comp sp (fun z => beta * zl - beta * z)); [apply derive_sp|auto_derive; auto]|].
    unfold scal. simpl. unfold mult. simpl. ring.
  - intros zw zl. unfold js_pull.
    replace (beta * (1 - (2 - a) * sg (beta * zw))) with (- (beta * ((2 - a) * sg (beta * zw) - 1))) by ring.
    apply @is_derive_opp. evar_last; [apply (is_derive_comp (fun u => js_loss a u (beta * zl)) (fun z => beta * z));
      [apply (is_derive_plus (own a) (fun _ => a * sp (beta * zl))); [apply derive_own|apply @is_derive_const]|auto_derive; auto]|].
    unfold scal, plus, zero. simpl. unfold mult. simpl. ring.
  - unfold dpo_pull. rewrite Rminus_0_r, Rmult_0_r, sg_0. field.
  - unfold js_pull. rewrite Rmult_0_r, sg_0. field.
  - intros zw zl H. unfold dpo_pull. pose proof (sg_increasing 0 (beta * (zl - zw)) ltac:(nra)). rewrite sg_0 in H0. nra.
  - intros zw H. unfold js_pull. pose proof (sg_increasing (beta * zw) 0 ltac:(nra)). rewrite sg_0 in H0.
    assert ((2 - a) * sg (beta * zw) < (2 - a) * (1/2)) by (apply Rmult_lt_compat_l; lra). nra.
  - intros zl e He. destruct (Small (e / beta) ltac:(apply Rdiv_pos; lra)) as [t0 Ht]. exists (zl + t0 / beta). intros zw Hz.
    unfold dpo_pull. replace (beta * (zl - zw)) with (- (beta * (zw - zl))) by ring. rewrite sg_neg.
    assert (Hs : beta * (zw - zl) < t0).
    { apply (Rmult_lt_reg_r (/ beta)); [now apply Rinv_0_lt_compat|]. replace (beta * (zw - zl) * / beta) with (zw - zl) by (field; lra).
      unfold Rdiv in Hz. lra. }
    specialize (Ht _ Hs). set (s := sg (beta * (zw - zl))) in *.
    assert (beta * s < e) by (replace e with (beta * (e / beta)) by (field; lra); apply Rmult_lt_compat_l; lra). nra.
  - intros e He. destruct (Small (e / beta / 2) ltac:(repeat apply Rdiv_pos; lra)) as [t0 Ht]. exists (t0 / beta). intros zw Hz.
    assert (Hs : beta * zw < t0).
    { apply (Rmult_lt_reg_r (/ beta)); [now apply Rinv_0_lt_compat|]. replace (beta * zw * / beta) with zw by (field; lra). exact Hz. }
    specialize (Ht _ Hs). unfold js_pull. set (s := sg (beta * zw)) in *.
    assert (beta * s < e / 2) by (replace (e / 2) with (beta * (e / beta / 2)) by (field; lra); apply Rmult_lt_compat_l; lra).
    assert (0 < beta * s) by (apply Rmult_lt_0_compat; lra). assert ((2 - a) * (beta * s) <= 2 * (beta * s)) by nra.
    assert (0 < (2 - a) * (beta * s)) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

(** (d) DPO at pi = ref on two draws of pi, used if just one of them is y+: the mean weight on grad ln pi(y+) is
    beta p (1 - p). *)
Theorem who_samples_starves_d : forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X) (policy : X -> R)
    (best : X) (beta : R),
  NoDup l -> law l policy -> In best l ->
  let hit := fun y => if dec y best then true else false in
  E (list_prod l l) (indep policy policy) (fun c => if xorb (hit (fst c)) (hit (snd c)) then beta * sg (beta * (0 - 0)) else 0)
    = beta * policy best * (1 - policy best).
Proof.
  intros X dec l p best beta N L Hb hit.
  assert (S0 : sg (beta * (0 - 0)) = 1/2) by (rewrite Rminus_0_r, Rmult_0_r; apply sg_0). rewrite S0.
  unfold E. rewrite sum_list_prod. unfold indep. simpl.
  rewrite (sum_ext l _ (fun y => beta / 2 * (p y * at_ dec best y * (1 - p best) + (p y - p y * at_ dec best y) * p best))).
  - rewrite sum_scal, sum_plus, !sum_scal_r, sum_minus, sum_at by auto. destruct L as [_ ->]. field.
  - intros y _. 
    transitivity (sum l (fun z => beta / 2 * p y * (at_ dec best y * (p z - p z * at_ dec best z) + (1 - at_ dec best y) * (p z * at_ dec best z)))).
    + apply sum_ext. intros z _. unfold hit, at_. destruct (dec y best), (dec z best); simpl; field.
    + rewrite sum_scal, sum_plus, !sum_scal, sum_minus, sum_at by auto. destruct L as [_ ->]. ring.
Qed.
