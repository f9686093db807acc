(** Lemmas on sums, laws, logarithms and the logistic function that several theorems share. *)

From MI Require Export words.

(** ** Sums *)

Section Sums.
Context {X : Type}.
Implicit Types (l : list X) (f g p q : X -> R).

Lemma sum_ext l f g : (forall x, In x l -> f x = g x) -> sum l f = sum l g.
Proof. induction l as [|a l IH]; simpl; intros H; [easy|]. rewrite H, IH; auto. Qed.

Lemma sum_plus l f g : sum l (fun x => f x + g x) = sum l f + sum l g.
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

Lemma sum_minus l f g : sum l (fun x => f x - g x) = sum l f - sum l g.
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

Lemma sum_opp l f : sum l (fun x => - f x) = - sum l f.
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

Lemma sum_scal l c f : sum l (fun x => c * f x) = c * sum l f.
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

Lemma sum_scal_r l c f : sum l (fun x => f x * c) = sum l f * c.
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

Lemma sum_div l c f : sum l (fun x => f x / c) = sum l f / c.
Proof. apply sum_scal_r. Qed.

Lemma sum_const l c : sum l (fun _ => c) = INR (length l) * c.
Proof. induction l as [|a l IH]; cbn [sum length]; [simpl; lra|]. rewrite S_INR, IH; lra. Qed.

Lemma sum_0 l : sum l (fun _ => 0) = 0.
Proof. induction l as [|a l IH]; simpl; lra. Qed.

Lemma sum_le l f g : (forall x, In x l -> f x <= g x) -> sum l f <= sum l g.
Proof.
  induction l as [|a l IH]; simpl; intros H; [lra|].
  pose proof (H a (or_introl eq_refl)). assert (sum l f <= sum l g) by (apply IH; auto). lra.
Qed.

Lemma sum_nonneg l f : (forall x, In x l -> 0 <= f x) -> 0 <= sum l f.
Proof. intros H. rewrite <- (sum_0 l). apply sum_le; auto. Qed.

Lemma sum_lt l f g :
  (forall x, In x l -> f x <= g x) -> (exists x, In x l /\ f x < g x) -> sum l f < sum l g.
Proof.
  induction l as [|a l IH]; simpl; intros H [x [Hin Hx]]; [easy|].
  pose proof (H a (or_introl eq_refl)).
  assert (sum l f <= sum l g) by (apply sum_le; auto).
  destruct Hin as [<-|Hin]; [lra|].
  assert (sum l f < sum l g) by (apply IH; eauto). lra.
Qed.

Lemma sum_pos l f : (forall x, In x l -> 0 <= f x) -> (exists x, In x l /\ 0 < f x) -> 0 < sum l f.
Proof. intros H H'. rewrite <- (sum_0 l). apply sum_lt; auto. Qed.

Lemma sum_nonneg_0 l f :
  (forall x, In x l -> 0 <= f x) -> sum l f = 0 -> forall x, In x l -> f x = 0.
Proof.
  induction l as [|a l IH]; simpl; intros H S x Hin; [easy|].
  pose proof (H a (or_introl eq_refl)).
  assert (0 <= sum l f) by (apply sum_nonneg; auto).
  destruct Hin as [<-|Hin]; [lra|]. apply IH; auto; lra.
Qed.

Lemma sum_le_eq l f g :
  (forall x, In x l -> f x <= g x) -> sum l f = sum l g -> forall x, In x l -> f x = g x.
Proof.
  intros H S x Hin.
  assert (g x - f x = 0); [|lra].
  apply (sum_nonneg_0 l (fun x => g x - f x)); auto.
  - intros y Hy. specialize (H y Hy). lra.
  - rewrite sum_minus. lra.
Qed.

Lemma sum_app l m f : sum (l ++ m) f = sum l f + sum m f.
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

(** One term is at most the sum. *)
Lemma sum_ge_term l f x : (forall y, In y l -> 0 <= f y) -> In x l -> f x <= sum l f.
Proof.
  induction l as [|a l IH]; simpl; intros H Hin; [easy|].
  assert (0 <= sum l f) by (apply sum_nonneg; auto).
  pose proof (H a (or_introl eq_refl)).
  destruct Hin as [<-|Hin]; [lra|]. specialize (IH (fun y Hy => H y (or_intror Hy)) Hin). lra.
Qed.

Lemma product_pos l f : (forall x, In x l -> 0 < f x) -> 0 < product l f.
Proof.
  induction l as [|a l IH]; simpl; intros H; [lra|].
  apply Rmult_lt_0_compat; auto.
Qed.

Lemma product_nonneg l f : (forall x, In x l -> 0 <= f x) -> 0 <= product l f.
Proof.
  induction l as [|a l IH]; simpl; intros H; [lra|].
  apply Rmult_le_pos; auto.
Qed.

End Sums.

Lemma sum_map {X Y} (h : X -> Y) l (f : Y -> R) : sum (map h l) f = sum l (fun x => f (h x)).
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite IH; lra. Qed.

Lemma sum_swap {X Y} (l : list X) (m : list Y) (f : X -> Y -> R) :
  sum l (fun x => sum m (f x)) = sum m (fun y => sum l (fun x => f x y)).
Proof.
  induction l as [|a l IH]; simpl; [now rewrite sum_0|].
  rewrite IH, <- sum_plus. reflexivity.
Qed.

Lemma sum_list_prod {X Y} (l : list X) (m : list Y) (f : X * Y -> R) :
  sum (list_prod l m) f = sum l (fun x => sum m (fun y => f (x, y))).
Proof. induction l as [|a l IH]; simpl; [lra|]. rewrite sum_app, sum_map, IH; lra. Qed.

(** ** Means *)

Section Means.
Context {X : Type}.
Implicit Types (l : list X) (f g p q : X -> R).

Lemma E_ext l p f g : (forall x, In x l -> f x = g x) -> E l p f = E l p g.
Proof. intros H. apply sum_ext. intros x Hx. now rewrite H. Qed.

Lemma E_plus l p f g : E l p (fun x => f x + g x) = E l p f + E l p g.
Proof. unfold E. rewrite <- sum_plus. apply sum_ext. intros; ring. Qed.

Lemma E_minus l p f g : E l p (fun x => f x - g x) = E l p f - E l p g.
Proof. unfold E. rewrite <- sum_minus. apply sum_ext. intros; ring. Qed.

Lemma E_scal l p c f : E l p (fun x => c * f x) = c * E l p f.
Proof. unfold E. rewrite <- sum_scal. apply sum_ext. intros; ring. Qed.

Lemma E_const l p c : law l p -> E l p (fun _ => c) = c.
Proof. intros [_ S]. unfold E. rewrite sum_scal_r, S. ring. Qed.

Lemma E_shift l p f c : law l p -> E l p (fun x => f x + c) = E l p f + c.
Proof. intros L. rewrite E_plus, (E_const l p c L). reflexivity. Qed.

Lemma E_le l p f g :
  law l p -> (forall x, In x l -> 0 < p x -> f x <= g x) -> E l p f <= E l p g.
Proof.
  intros [N _] H. apply sum_le. intros x Hx. destruct (N x Hx) as [Hp|Hp].
  - specialize (H x Hx Hp). nra.
  - rewrite <- Hp; lra.
Qed.

(** A strict inequality wherever p has mass is strict in the mean. *)
Lemma E_lt l p f g :
  law l p -> (forall x, In x l -> 0 < p x -> f x < g x) -> E l p f < E l p g.
Proof.
  intros [N S] H. apply sum_lt.
  - intros x Hx. destruct (N x Hx) as [Hp|Hp]; [specialize (H x Hx Hp); nra|rewrite <- Hp; lra].
  - destruct (Classical_Prop.classic (exists x, In x l /\ 0 < p x)) as [[x [Hx Hp]]|No].
    + exists x. split; auto. specialize (H x Hx Hp). nra.
    + exfalso. assert (sum l p = 0); [|lra].
      rewrite <- (sum_0 l). apply sum_ext. intros x Hx. destruct (N x Hx) as [Hp|Hp]; auto.
      exfalso; apply No; eauto.
Qed.

Lemma law_atom l p : law l p -> exists x, In x l /\ 0 < p x.
Proof.
  intros [N S]. destruct (Classical_Prop.classic (exists x, In x l /\ 0 < p x)) as [H|No]; auto.
  exfalso. assert (sum l p = 0); [|lra].
  rewrite <- (sum_0 l). apply sum_ext. intros x Hx. destruct (N x Hx) as [Hp|Hp]; auto.
  exfalso; apply No; eauto.
Qed.

Lemma law_le_1 l p x : law l p -> In x l -> p x <= 1.
Proof. intros [N S] Hx. rewrite <- S. apply sum_ge_term; auto. Qed.

Lemma mgf_pos l q T : law l q -> 0 < mgf l q T.
Proof.
  intros L. destruct (law_atom l q L) as [x [Hx Hq]]. destruct L as [N _].
  apply sum_pos.
  - intros y Hy. specialize (N y Hy). pose proof (exp_pos (T y)). nra.
  - exists x. split; auto. pose proof (exp_pos (T x)). nra.
Qed.

Lemma law_mixed l p q a : law l p -> law l q -> 0 <= a <= 1 -> law l (mixed a p q).
Proof.
  intros [Np Sp] [Nq Sq] Ha. split.
  - intros x Hx. specialize (Np x Hx). specialize (Nq x Hx). unfold mixed. nra.
  - unfold mixed. rewrite sum_plus, !sum_scal, Sp, Sq. ring.
Qed.

Lemma law_tilt l q T : law l q -> law l (tilt l q T).
Proof.
  intros L. pose proof (mgf_pos l q T L) as HZ. destruct L as [N S]. split.
  - intros x Hx. unfold tilt. specialize (N x Hx). pose proof (exp_pos (T x)).
    apply Rmult_le_pos; [nra|]. left. now apply Rinv_0_lt_compat.
  - unfold tilt. rewrite sum_div. replace (sum l (fun x => exp (T x) * q x)) with (mgf l q T).
    + field. lra.
    + apply sum_ext. intros; ring.
Qed.

Lemma mgf_shift l q T c : mgf l q (fun x => T x + c) = exp c * mgf l q T.
Proof. unfold mgf. rewrite <- E_scal. apply E_ext. intros x _. rewrite exp_plus. ring. Qed.

Lemma E_mixed l p q a f : E l (mixed a p q) f = (1 - a) * E l p f + a * E l q f.
Proof. unfold E, mixed. rewrite <- !sum_scal, <- sum_plus. apply sum_ext. intros; ring. Qed.

End Means.

(** ** Logarithms *)

Lemma ln_le_sub x : 0 < x -> ln x <= x - 1.
Proof. intros H. pose proof (exp_ineq1_le (ln x)). rewrite exp_ln in H0; lra. Qed.

Lemma ln_lt_sub x : 0 < x -> x <> 1 -> ln x < x - 1.
Proof.
  intros H N. assert (ln x <> 0) by (intros Z0; apply N; rewrite <- (exp_ln x), Z0, exp_0; auto).
  pose proof (exp_ineq1 (ln x) H0). rewrite exp_ln in H1; lra.
Qed.

Lemma ln_div x y : 0 < x -> 0 < y -> ln (x / y) = ln x - ln y.
Proof. intros. unfold Rdiv. rewrite ln_mult, ln_Rinv; auto using Rinv_0_lt_compat. Qed.

Lemma ln_pos x : 1 < x -> 0 < ln x.
Proof. intros. rewrite <- ln_1. apply ln_increasing; lra. Qed.

Lemma ln_neg x : 0 < x < 1 -> ln x < 0.
Proof. intros. rewrite <- ln_1. apply ln_increasing; lra. Qed.

Lemma ln_0 x : x <= 0 -> ln x = 0.
Proof. intros H. unfold ln. destruct (Rlt_dec 0 x); [exfalso; lra|reflexivity]. Qed.

Lemma ln_2_pos : 0 < ln 2.
Proof. apply ln_pos; lra. Qed.

Lemma ln_le_iff x y : 0 < x -> 0 < y -> (ln x <= ln y <-> x <= y).
Proof.
  intros Hx Hy. split; intros H.
  - destruct (Rle_lt_dec x y); auto. pose proof (ln_increasing y x Hy r). lra.
  - destruct (Req_dec x y); [subst; lra|]. left. apply ln_increasing; lra.
Qed.

Lemma Rdiv_pos x y : 0 < x -> 0 < y -> 0 < x / y.
Proof. intros. apply Rmult_lt_0_compat; auto using Rinv_0_lt_compat. Qed.

(** The atom of Gibbs' inequality: a ln(a/b) >= a - b, with equality iff a = b. *)
Lemma gibbs_atom a b : 0 <= a -> 0 <= b -> (b = 0 -> a = 0) -> a - b <= a * ln (a / b).
Proof.
  intros Ha Hb H. destruct Ha as [Ha|<-]; [|lra].
  destruct Hb as [Hb|<-]; [|specialize (H eq_refl); lra].
  assert (ln (b / a) <= b / a - 1) by (apply ln_le_sub; now apply Rdiv_pos).
  rewrite ln_div in *; auto.
  assert (a * (b / a) = b) by (field; lra). nra.
Qed.

Lemma gibbs_atom_eq a b :
  0 <= a -> 0 <= b -> (b = 0 -> a = 0) -> a - b = a * ln (a / b) -> a = b.
Proof.
  intros Ha Hb H Eq. destruct Ha as [Ha|<-]; [|lra].
  destruct Hb as [Hb|<-]; [|specialize (H eq_refl); lra].
  destruct (Req_dec a b) as [|N]; auto. exfalso.
  assert (b / a <> 1) by (intros C; apply N; apply (f_equal (Rmult a)) in C; field_simplify in C; lra).
  assert (ln (b / a) < b / a - 1) by (apply ln_lt_sub; auto; now apply Rdiv_pos).
  rewrite ln_div in *; auto.
  assert (a * (b / a) = b) by (field; lra). nra.
Qed.

(** KL >= 0, also against a law that lacks mass; it is 0 iff the laws are equal. *)
Lemma kl_ge {X} (l : list X) p q :
  (forall x, In x l -> 0 <= p x) -> (forall x, In x l -> 0 <= q x) -> ac l p q ->
  sum l p - sum l q <= kl l p q.
Proof.
  intros Np Nq A. unfold kl. rewrite <- sum_minus. apply sum_le.
  intros x Hx. apply gibbs_atom; auto.
Qed.

Lemma kl_nonneg {X} (l : list X) p q : law l p -> law l q -> ac l p q -> 0 <= kl l p q.
Proof. intros [Np Sp] [Nq Sq] A. pose proof (kl_ge l p q Np Nq A). lra. Qed.

Lemma kl_refl {X} (l : list X) p : kl l p p = 0.
Proof.
  unfold kl. rewrite <- (sum_0 l). apply sum_ext. intros x _.
  destruct (Req_dec (p x) 0) as [->|N]; [lra|]. unfold Rdiv. rewrite Rinv_r, ln_1; lra.
Qed.

Lemma kl_zero {X} (l : list X) p q :
  law l p -> law l q -> ac l p q -> (kl l p q = 0 <-> same l p q).
Proof.
  intros [Np Sp] [Nq Sq] A. split.
  - intros K x Hx. apply gibbs_atom_eq; auto.
    refine (sum_le_eq l (fun x => p x - q x) (fun x => p x * ln (p x / q x)) _ _ x Hx).
    + intros y Hy. apply gibbs_atom; auto.
    + rewrite sum_minus. unfold kl in K. lra.
  - intros S. rewrite <- (kl_refl l p). apply sum_ext. intros x Hx. now rewrite (S x Hx).
Qed.

Lemma kl_same_r {X} (l : list X) p q q' : same l q q' -> kl l p q = kl l p q'.
Proof. intros S. apply sum_ext. intros x Hx. now rewrite (S x Hx). Qed.

(** ** The logistic function *)

Lemma sp_pos u : 0 < sp u.
Proof. apply ln_pos. pose proof (exp_pos u). lra. Qed.

Lemma exp_sp u : exp (sp u) = 1 + exp u.
Proof. unfold sp. rewrite exp_ln; auto. pose proof (exp_pos u). lra. Qed.

Lemma sp_minus u : sp (- u) = sp u - u.
Proof.
  unfold sp. pose proof (exp_pos u). pose proof (exp_pos (- u)).
  replace (1 + exp (- u)) with ((1 + exp u) / exp u).
  - rewrite ln_div, ln_exp; lra.
  - rewrite exp_Ropp. field. lra.
Qed.

Lemma sp_0 : sp 0 = ln 2.
Proof. unfold sp. rewrite exp_0. f_equal; lra. Qed.

Lemma sg_pos u : 0 < sg u.
Proof. apply Rinv_0_lt_compat. pose proof (exp_pos (- u)). lra. Qed.

Lemma sg_lt_1 u : sg u < 1.
Proof.
  unfold sg. rewrite <- Rinv_1 at 2. apply Rinv_lt_contravar; pose proof (exp_pos (- u)); lra.
Qed.

Lemma sg_0 : sg 0 = 1 / 2.
Proof. unfold sg. rewrite Ropp_0, exp_0. lra. Qed.

Lemma sg_alt u : sg u = exp u / (1 + exp u).
Proof. unfold sg. rewrite exp_Ropp. pose proof (exp_pos u). field. lra. Qed.

Lemma sg_neg u : sg (- u) = 1 - sg u.
Proof.
  rewrite (sg_alt u). unfold sg. rewrite Ropp_involutive. pose proof (exp_pos u). field. lra.
Qed.

Lemma ln_sg u : ln (sg u) = - sp (- u).
Proof. unfold sg, sp. rewrite ln_Rinv; auto. pose proof (exp_pos (- u)). lra. Qed.

Lemma ln_1_sg u : ln (1 - sg u) = - sp u.
Proof. rewrite <- sg_neg, ln_sg, Ropp_involutive. reflexivity. Qed.

Lemma sg_increasing u v : u < v -> sg u < sg v.
Proof.
  intros H. unfold sg. pose proof (exp_pos (- u)). pose proof (exp_pos (- v)).
  pose proof (exp_increasing (- v) (- u) ltac:(lra)).
  apply Rinv_lt_contravar; [|lra]. nra.
Qed.

Lemma sg_le u v : u <= v -> sg u <= sg v.
Proof. intros [H|<-]; [left; now apply sg_increasing|lra]. Qed.

Lemma sg_inj u v : sg u = sg v -> u = v.
Proof.
  intros H. destruct (Rtotal_order u v) as [C|[C|C]]; auto;
  pose proof (sg_increasing _ _ C); lra.
Qed.

Lemma sp_increasing u v : u < v -> sp u < sp v.
Proof.
  intros H. unfold sp. pose proof (exp_pos u). pose proof (exp_increasing u v H).
  apply ln_increasing; lra.
Qed.

Lemma sp_le u v : u <= v -> sp u <= sp v.
Proof. intros [H|<-]; [left; now apply sp_increasing|lra]. Qed.

Lemma sp_lt_exp u : sp u < exp u.
Proof.
  unfold sp. pose proof (exp_pos u). assert (ln (1 + exp u) < 1 + exp u - 1); [|lra].
  apply ln_lt_sub; lra.
Qed.

Lemma sp_gt_id u : u < sp u.
Proof. pose proof (sp_pos (- u)). rewrite sp_minus in H. lra. Qed.

Lemma sg_logit x : 0 < x < 1 -> sg (logit x) = x.
Proof.
  intros H. unfold sg, logit. rewrite exp_Ropp, exp_ln by (apply Rdiv_pos; lra). field. lra.
Qed.

Lemma logit_sg u : logit (sg u) = u.
Proof. apply sg_inj. apply sg_logit. split; [apply sg_pos|apply sg_lt_1]. Qed.

Lemma bern_sp u v : bern (sg v) (sg u) = sp u - sp v - sg v * (u - v).
Proof.
  pose proof (sg_pos u). pose proof (sg_pos v). pose proof (sg_lt_1 u). pose proof (sg_lt_1 v).
  unfold bern. rewrite !ln_div; try lra. rewrite !ln_sg, !ln_1_sg, !sp_minus. ring.
Qed.

Lemma bern_nonneg a b : 0 <= a <= 1 -> 0 < b < 1 -> 0 <= bern a b.
Proof.
  intros. pose proof (gibbs_atom a b). pose proof (gibbs_atom (1 - a) (1 - b)). unfold bern. lra.
Qed.

Lemma bern_zero a b : 0 <= a <= 1 -> 0 < b < 1 -> (bern a b = 0 <-> a = b).
Proof.
  intros Ha Hb. split.
  - pose proof (gibbs_atom a b). pose proof (gibbs_atom (1 - a) (1 - b)). unfold bern.
    intros Hz. apply gibbs_atom_eq; lra.
  - intros <-. unfold bern, Rdiv. rewrite !Rinv_r, ln_1; lra.
Qed.

(** Softplus lies above its tangents, and strictly so elsewhere. *)
Lemma sp_tangent u v : sp v + sg v * (u - v) <= sp u.
Proof.
  pose proof (sg_pos u). pose proof (sg_pos v). pose proof (sg_lt_1 u). pose proof (sg_lt_1 v).
  pose proof (bern_nonneg (sg v) (sg u)). rewrite bern_sp in *. lra.
Qed.

Lemma sp_tangent_lt u v : u <> v -> sp v + sg v * (u - v) < sp u.
Proof.
  intros N. pose proof (sg_pos u). pose proof (sg_pos v). pose proof (sg_lt_1 u). pose proof (sg_lt_1 v).
  pose proof (sp_tangent u v). pose proof (bern_zero (sg v) (sg u)). rewrite bern_sp in *.
  destruct (Req_dec (sp u - sp v - sg v * (u - v)) 0); [|lra].
  exfalso. apply N. apply sg_inj. symmetry. apply H4; lra.
Qed.

(** ** Derivatives *)

Lemma derive_sp u : is_derive sp u (sg u).
Proof.
  unfold sp, sg. pose proof (exp_pos u). auto_derive; [lra|].
  rewrite exp_Ropp. field. lra.
Qed.

Lemma derive_sg u : is_derive sg u (sg u * (1 - sg u)).
Proof.
  unfold sg. pose proof (exp_pos (- u)). auto_derive; [lra|]. field. lra.
Qed.

Lemma derive_sum {X} (l : list X) (f df : X -> R -> R) t :
  (forall x, In x l -> is_derive (f x) t (df x t)) ->
  is_derive (fun s => sum l (fun x => f x s)) t (sum l (fun x => df x t)).
Proof.
  induction l as [|a l IH]; simpl; intros H.
  - apply @is_derive_const.
  - apply @is_derive_plus; auto.
Qed.

(** ** What several theorems on bounds share *)

(** An atom has no P-mass, or both laws have some there. *)
Lemma ac_cases {X} (l : list X) p q x :
  law l p -> law l q -> ac l p q -> In x l -> p x = 0 \/ (0 < p x /\ 0 < q x).
Proof.
  intros [Np _] [Nq _] A Hx. destruct (Np x Hx) as [Hp|Hp]; [right|left; auto].
  split; auto. destruct (Nq x Hx) as [Hq|Hq]; auto. rewrite (A x Hx) in Hp; lra.
Qed.

Lemma ac_tilt {X} (l : list X) p q T : law l q -> ac l p q -> ac l p (tilt l q T).
Proof.
  intros L A x Hx. unfold tilt. pose proof (mgf_pos l q T L). pose proof (exp_pos (T x)).
  intros H1. apply A; auto. unfold Rdiv in H1.
  apply Rmult_integral in H1. destruct H1 as [H1|H1].
  - apply Rmult_integral in H1. destruct H1; lra.
  - apply Rinv_neq_0_compat in H1; lra.
Qed.

Lemma dv_gap {X} (l : list X) p q T :
  law l p -> law l q -> ac l p q -> kl l p q - dv l p q T = kl l p (tilt l q T).
Proof.
  intros Lp Lq A. pose proof (mgf_pos l q T Lq) as HZ. unfold dv.
  rewrite <- (E_const l p (ln (mgf l q T)) Lp).
  unfold kl, E. rewrite <- !sum_minus. apply sum_ext. intros x Hx.
  destruct (ac_cases l p q x Lp Lq A Hx) as [->|[Hp Hq]]; [lra|].
  pose proof (exp_pos (T x)). unfold tilt.
  rewrite ln_div; auto. rewrite (ln_div (p x)); auto.
  2: apply Rdiv_pos; auto; now apply Rmult_lt_0_compat.
  rewrite ln_div; auto; [|now apply Rmult_lt_0_compat].
  rewrite ln_mult, ln_exp; auto. ring.
Qed.

Lemma dv_le_kl {X} (l : list X) p q T :
  law l p -> law l q -> ac l p q -> dv l p q T <= kl l p q.
Proof.
  intros Lp Lq A. pose proof (dv_gap l p q T Lp Lq A).
  pose proof (kl_nonneg l p (tilt l q T) Lp (law_tilt l q T Lq) (ac_tilt l p q T Lq A)). lra.
Qed.

(** x - 1 - ln x, what a shift of the critic is worth. *)
Lemma shift_gap_nonneg z : 0 < z -> 0 <= z - 1 - ln z.
Proof. intros H. pose proof (ln_le_sub z H). lra. Qed.

Lemma shift_gap_zero z : 0 < z -> (z - 1 - ln z = 0 <-> z = 1).
Proof.
  intros H. split; [|intros ->; rewrite ln_1; lra].
  intros Eq. destruct (Req_dec z 1) as [|N]; auto. pose proof (ln_lt_sub z H N). lra.
Qed.

Lemma dv_nwj {X} (l : list X) p q T :
  dv l p q T - nwj l p q T = mgf l q T - 1 - ln (mgf l q T).
Proof. unfold dv, nwj. ring. Qed.

Lemma exp_small e : 0 < e -> exists k, 0 < k /\ exp (- k) < e.
Proof.
  intros H. exists (Rmax 1 (1 - ln e)). split; [pose proof (Rmax_l 1 (1 - ln e)); lra|].
  apply Rle_lt_trans with (exp (ln e - 1)).
  - pose proof (Rmax_r 1 (1 - ln e)). destruct (Req_dec (- Rmax 1 (1 - ln e)) (ln e - 1)) as [->|];
      [lra|]. left. apply exp_increasing. lra.
  - rewrite <- (exp_ln e H) at 2. apply exp_increasing. lra.
Qed.

(** A function above its tangents is below its chords, and Jensen's inequality holds. *)
Lemma jensen {X} (l : list X) p (f : X -> R) g s m :
  law l p -> E l p f = m ->
  (forall x, In x l -> 0 < p x -> g m + s * (f x - m) <= g (f x)) ->
  g m <= E l p (fun x => g (f x)).
Proof.
  intros L M H. apply Rle_trans with (E l p (fun x => g m + s * (f x - m))).
  - rewrite E_plus, E_scal, E_minus, !E_const, M; auto. lra.
  - apply E_le; auto.
Qed.

Lemma jensen_lt {X} (l : list X) p (f : X -> R) g s m :
  law l p -> E l p f = m ->
  (forall x, In x l -> 0 < p x -> g m + s * (f x - m) <= g (f x)) ->
  (exists x, In x l /\ 0 < p x /\ g m + s * (f x - m) < g (f x)) ->
  g m < E l p (fun x => g (f x)).
Proof.
  intros L M H [a [Ha [Pa Hlt]]].
  apply Rle_lt_trans with (E l p (fun x => g m + s * (f x - m))).
  - rewrite E_plus, E_scal, E_minus, !E_const, M; auto. lra.
  - destruct L as [N _]. apply sum_lt.
    + intros x Hx. destruct (N x Hx) as [Hp|Hp]; [specialize (H x Hx Hp); nra|rewrite <- Hp; lra].
    + exists a. split; auto. nra.
Qed.

(** A law's mean lies between two bounds of the values. *)
Lemma E_bounds {X} (l : list X) p f a b :
  law l p -> (forall x, In x l -> 0 < p x -> a <= f x <= b) -> a <= E l p f <= b.
Proof.
  intros L H. split.
  - rewrite <- (E_const l p a L). apply E_le; auto. intros x Hx Hp. now apply H.
  - rewrite <- (E_const l p b L). apply E_le; auto. intros x Hx Hp. now apply H.
Qed.
