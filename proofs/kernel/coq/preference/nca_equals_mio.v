(** Pairwise NCA is MIO, term by term; NCA for K labelled responses is a JS bound. *)
From MI Require Import preference.pairs_of_scores bounds.js_value_and_gap.

Definition nca_pair (u v : R) : R := - ln (sg u) - 1/2 * ln (sg (- u)) - 1/2 * ln (sg (- v)).

(** NCA of K responses on the list l, with rewards r and label law w. *)
Definition nca {X} (l : list X) (w r : X -> R) : R :=
  - sum l (fun x => w x * ln (sg (r x))) - / INR (length l) * sum l (fun x => ln (sg (- r x))).

Lemma nca_pair_mio u v : nca_pair u v = js_loss (1/2) u v.
Proof. unfold nca_pair, js_loss. rewrite !ln_sg, !Ropp_involutive. field. Qed.

(** (a) Equal at every (z_w, z_l, beta), term by term; hence so are the derivatives along every differentiable curve of
    parameters. *)
Theorem nca_equals_mio_a :
  (forall beta zw zl : R,
     - ln (sg (beta * zw)) = sp (- (beta * zw))
     /\ - (1/2) * ln (sg (- (beta * zw))) = 1/2 * sp (beta * zw)
     /\ - (1/2) * ln (sg (- (beta * zl))) = 1/2 * sp (beta * zl)
     /\ nca_pair (beta * zw) (beta * zl) = js_loss (1/2) (beta * zw) (beta * zl))
  /\ (forall (beta : R) (zw zl : R -> R) (t d : R),
     is_derive (fun t => nca_pair (beta * zw t) (beta * zl t)) t d <->
     is_derive (fun t => js_loss (1/2) (beta * zw t) (beta * zl t)) t d).
Proof.
  split.
  - intros. rewrite nca_pair_mio, !ln_sg, !Ropp_involutive. repeat split; field.
  - intros. split; apply is_derive_ext; intros; now rewrite nca_pair_mio.
Qed.

Lemma nca_js {X} (l : list X) w r :
  nca l w r = 2 * ln 2 - js l w (fun _ => / INR (length l)) r.
Proof.
  unfold nca, js, E. rewrite sum_scal.
  rewrite (sum_ext l (fun x => w x * ln (sg (r x))) (fun x => - (w x * sp (- r x)))) by (intros; rewrite ln_sg; ring).
  rewrite (sum_ext l (fun x => ln (sg (- r x))) (fun x => - sp (r x))) by (intros; rewrite ln_sg, Ropp_involutive; ring).
  rewrite !sum_opp. ring.
Qed.

Lemma law_uniform {X} (l : list X) : l <> [] -> law l (fun _ => / INR (length l)).
Proof.
  intros H. assert (0 < INR (length l)) by (apply lt_0_INR; destruct l; [easy|simpl; lia]). split.
  - intros. left. now apply Rinv_0_lt_compat.
  - rewrite sum_const. field. lra.
Qed.

(** (b) For K responses with a label law w NCA is 2 ln 2 - JS(w, uniform; r); its infimum over real rewards is
    2 ln 2 - 2 JSD(w, uniform); term by term it is least at r = ln(K w) where w > 0, and there only, and where w = 0 it falls with r. *)
Theorem nca_equals_mio_b : forall (X : Type) (l : list X) (w : X -> R),
  law l w ->
  let K := INR (length l) in
  (forall r, nca l w r = 2 * ln 2 - js l w (fun _ => / K) r)
  /\ is_inf (fun v => exists r, v = nca l w r) (2 * ln 2 - 2 * jsd l w (fun _ => / K))
  /\ (forall r, nca l w r = sum l (fun x => w x * sp (- r x) + / K * sp (r x)))
  /\ (forall c t, 0 < c -> t <> ln (K * c) ->
        c * sp (- ln (K * c)) + / K * sp (ln (K * c)) < c * sp (- t) + / K * sp t)
  /\ (forall s t, s < t -> 0 * sp (- s) + / K * sp s < 0 * sp (- t) + / K * sp t).
Proof.
  intros X l w Lw K.
  assert (NE : l <> []) by (intros ->; destruct Lw as [_ S]; simpl in S; lra).
  pose proof (law_uniform l NE) as Lu.
  assert (PK : 0 < K) by (apply lt_0_INR; destruct l; [easy|simpl; lia]).
  assert (PI : 0 < / K) by now apply Rinv_0_lt_compat.
  split; [intros; apply nca_js|].
  destruct (js_value_and_gap_b X l w _ Lw Lu) as [U L].
  split; [split|split; [|split]].
  - intros v [r ->]. rewrite nca_js. specialize (U _ (ex_intro _ r eq_refl)). unfold K. lra.
  - intros b Hb. assert (2 * jsd l w (fun _ => / INR (length l)) <= 2 * ln 2 - b); [|unfold K; lra].
    apply L. intros v [r ->]. specialize (Hb _ (ex_intro _ r eq_refl)). rewrite nca_js in Hb. lra.
  - intros r. unfold nca. fold K. rewrite sum_plus, sum_scal.
    rewrite (sum_ext l (fun x => w x * ln (sg (r x))) (fun x => - (w x * sp (- r x)))) by (intros; rewrite ln_sg; ring).
    rewrite (sum_ext l (fun x => ln (sg (- r x))) (fun x => - sp (r x))) by (intros; rewrite ln_sg, Ropp_involutive; ring).
    rewrite !sum_opp. ring.
  - intros c t Hc N. rewrite !sp_minus. pose proof (sp_tangent_lt t (ln (K * c)) N).
    assert (S : sg (ln (K * c)) * (c + / K) = c).
    { unfold sg. assert (0 < K * c) by now apply Rmult_lt_0_compat. rewrite exp_Ropp, exp_ln by auto.
      field. nra. }
    assert ((sp (ln (K * c)) + sg (ln (K * c)) * (t - ln (K * c))) * (c + / K) < sp t * (c + / K))
      by (apply Rmult_lt_compat_r; lra).
    nra.
  - intros s t H. pose proof (sp_increasing s t H). nra.
Qed.

(** (c) With one chosen response of reward u and K - 1 >= 1 rejected ones it is L_a at a = 1 - 1/K. *)
Theorem nca_equals_mio_c : forall (u : R) (vs : list R), vs <> [] ->
  let n := INR (length vs) in
  let a := 1 - / INR (S (length vs)) in
  nca (candidates u vs) on_chosen snd = sp (- u) + (1 - a) * sp u + a / n * sum vs sp.
Proof.
  intros u vs H n a. assert (0 < n) by (apply lt_0_INR; destruct vs; [easy|simpl; lia]).
  assert (K : INR (S (length vs)) = n + 1) by apply S_INR.
  rewrite nca_js. unfold js. rewrite E_on_chosen. unfold E, candidates. cbn [sum length map snd].
  rewrite map_length, sum_map. simpl snd. rewrite sum_scal.
  change (sum vs (fun x => sp x)) with (sum vs sp). unfold a. rewrite K. clearbody n.
  replace ((1 - / (n + 1)) / n) with (/ (n + 1)) by (field; lra). ring.
Qed.

(** (d) The variant -ln sigma(u) - ln sigma(-v) is L_1; MIO exceeds it by (sp(u) - sp(v))/2. *)
Theorem nca_equals_mio_d : forall u v : R,
  - ln (sg u) - ln (sg (- v)) = js_loss 1 u v
  /\ js_loss (1/2) u v - js_loss 1 u v = 1/2 * (sp u - sp v).
Proof. intros. rewrite !ln_sg, !Ropp_involutive. unfold js_loss. split; field. Qed.
