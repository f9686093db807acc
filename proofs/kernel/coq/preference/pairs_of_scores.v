(** Lemmas on the losses of one pair, and on one chosen response among several. *)
From MI Require Export lemmas.

Lemma E_two q f : E two q f = q true * f true + q false * f false.
Proof. unfold E, two. simpl. ring. Qed.

Lemma sum_exp_pos (vs : list R) : vs <> [] -> 0 < sum vs exp.
Proof.
  intros H. destruct vs as [|v vs]; [easy|]. apply sum_pos; [intros; left; apply exp_pos|].
  exists v. split; [now left|apply exp_pos].
Qed.

Lemma sum_exp_nonneg (vs : list R) : 0 <= sum vs exp.
Proof. apply sum_nonneg. intros; left; apply exp_pos. Qed.

Lemma E_on_chosen u vs f : E (candidates u vs) on_chosen f = f (true, u).
Proof.
  unfold E, candidates. simpl. rewrite sum_map. unfold on_chosen, chosen. simpl.
  rewrite (sum_ext vs _ (fun _ => 0)) by (intros; ring). rewrite sum_0. ring.
Qed.

Lemma plackett_alt u vs : plackett u vs = ln (exp u + sum vs exp) - u.
Proof.
  unfold plackett. pose proof (exp_pos u). pose proof (sum_exp_nonneg vs).
  rewrite ln_div, ln_exp by lra. ring.
Qed.

Lemma dpo_alt u v : dpo u v = - ln (sg (u - v)).
Proof. unfold dpo. rewrite ln_sg. replace (- (u - v)) with (v - u) by ring. ring. Qed.

(** The chosen term f_a(u) = sp(-u) + (1 - a) sp(u), its slope, and its least value at the anchor -ln(1 - a). *)
Definition own (a u : R) : R := sp (- u) + (1 - a) * sp u.

Lemma js_loss_own a u v : js_loss a u v = own a u + a * sp v.
Proof. reflexivity. Qed.

Lemma own_alt a u : own a u = (2 - a) * sp u - u.
Proof. unfold own. rewrite sp_minus. ring. Qed.

Lemma sg_anchor a : 0 < a < 1 -> sg (- ln (1 - a)) = / (2 - a).
Proof. intros H. unfold sg. rewrite Ropp_involutive, exp_ln by lra. f_equal. ring. Qed.

Lemma own_anchor a : 0 < a < 1 -> own a (- ln (1 - a)) = floor_at a.
Proof.
  intros H. rewrite own_alt. unfold sp, floor_at. rewrite <- ln_Rinv by lra.
  rewrite exp_ln by (apply Rinv_0_lt_compat; lra).
  replace (1 + / (1 - a)) with ((2 - a) / (1 - a)) by (field; lra).
  rewrite ln_div, ln_Rinv by lra. ring.
Qed.

Lemma derive_own a u : is_derive (own a) u ((2 - a) * sg u - 1).
Proof.
  apply (is_derive_ext (fun u => (2 - a) * sp u - u)); [intros; now rewrite own_alt|].
  apply @is_derive_minus; [|apply @is_derive_id].
  apply is_derive_scal. apply derive_sp.
Qed.

(** f_a lies above its tangents. *)
Lemma own_tangent a u v : 0 < a <= 1 -> own a v + ((2 - a) * sg v - 1) * (u - v) <= own a u.
Proof. intros H. rewrite !own_alt. pose proof (sp_tangent u v). nra. Qed.

Lemma own_tangent_lt a u v : 0 < a <= 1 -> u <> v -> own a v + ((2 - a) * sg v - 1) * (u - v) < own a u.
Proof. intros H N. rewrite !own_alt. pose proof (sp_tangent_lt u v N). nra. Qed.

Lemma own_slope_zero a u : 0 < a < 1 -> ((2 - a) * sg u - 1 = 0 <-> u = - ln (1 - a)).
Proof.
  intros H. split.
  - intros Eq. apply sg_inj. rewrite sg_anchor by auto. apply (Rmult_eq_reg_l (2 - a)); [|lra].
    rewrite Rinv_r; lra.
  - intros ->. rewrite sg_anchor by auto. rewrite Rinv_r; lra.
Qed.

Lemma own_min a u : 0 < a < 1 -> floor_at a <= own a u.
Proof.
  intros H. rewrite <- own_anchor by auto. pose proof (own_tangent a u (- ln (1 - a)) ltac:(lra)).
  rewrite (proj2 (own_slope_zero a _ H) eq_refl) in H0. lra.
Qed.

Lemma own_min_lt a u : 0 < a < 1 -> u <> - ln (1 - a) -> floor_at a < own a u.
Proof.
  intros H N. rewrite <- own_anchor by auto. pose proof (own_tangent_lt a u (- ln (1 - a)) ltac:(lra) N).
  rewrite (proj2 (own_slope_zero a _ H) eq_refl) in H0. lra.
Qed.

(** It falls up to the anchor and rises from it on. *)
Lemma own_falls a u v : 0 < a < 1 -> u < v -> v <= - ln (1 - a) -> own a v < own a u.
Proof.
  intros H Huv Hv. pose proof (own_tangent_lt a u v ltac:(lra) ltac:(lra)).
  assert ((2 - a) * sg v - 1 <= 0); [|nra].
  rewrite <- (proj2 (own_slope_zero a _ H) eq_refl). pose proof (sg_le _ _ Hv). nra.
Qed.

Lemma own_rises a u v : 0 < a < 1 -> u < v -> - ln (1 - a) <= u -> own a u < own a v.
Proof.
  intros H Huv Hu. pose proof (own_tangent_lt a v u ltac:(lra) ltac:(lra)).
  assert (0 <= (2 - a) * sg u - 1); [|nra].
  rewrite <- (proj2 (own_slope_zero a _ H) eq_refl). pose proof (sg_le _ _ Hu). nra.
Qed.

Lemma js_loss_0 a : js_loss a 0 0 = 2 * ln 2.
Proof. unfold js_loss. rewrite Ropp_0, sp_0. ring. Qed.

Lemma floor_lt_js_loss a u v : 0 < a < 1 -> floor_at a < js_loss a u v.
Proof.
  intros H. rewrite js_loss_own. pose proof (own_min a u H). pose proof (sp_pos v).
  assert (0 < a * sp v) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

(** A joint law of pairs has a mean loss that sees the two marginals alone. *)
Lemma E_fst {X Y} (l : list X) (m : list Y) (p : X * Y -> R) f :
  E (list_prod l m) p (fun c => f (fst c)) = E l (fst_law m p) f.
Proof.
  unfold E. rewrite sum_list_prod. apply sum_ext. intros x _. unfold fst_law. simpl.
  now rewrite sum_scal_r.
Qed.

Lemma E_snd {X Y} (l : list X) (m : list Y) (p : X * Y -> R) f :
  E (list_prod l m) p (fun c => f (snd c)) = E m (snd_law l p) f.
Proof.
  unfold E. rewrite sum_list_prod, sum_swap. apply sum_ext. intros y _. unfold snd_law. simpl.
  now rewrite sum_scal_r.
Qed.

Lemma js_of_mixed {X} (l : list X) p r T a :
  js l p (mixed a p r) T
    = 2 * ln 2 - (E l p (fun y => own a (T y)) + a * E l r (fun y => sp (T y))).
Proof.
  unfold js, own. rewrite E_mixed, E_plus, E_scal. ring.
Qed.
