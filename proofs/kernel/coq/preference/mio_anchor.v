(** The chosen reward's anchor -ln(1 - a), the loss floor, and the tabular minimum. *)
From MI Require Import preference.pairs_of_scores.

(** (a) f_a is strictly convex; its only stationary point, the minimum, is -ln(1 - a). *)
Theorem mio_anchor_a : forall a : R, 0 < a < 1 ->
  (forall u, is_derive (own a) u ((2 - a) * sg u - 1))
  /\ (forall u, is_derive (fun u => (2 - a) * sg u - 1) u ((2 - a) * (sg u * (1 - sg u)))
        /\ 0 < (2 - a) * (sg u * (1 - sg u)))
  /\ (forall u, (2 - a) * sg u - 1 = 0 <-> u = - ln (1 - a))
  /\ (forall u, u <> - ln (1 - a) -> own a (- ln (1 - a)) < own a u).
Proof.
  intros a Ha. split; [apply derive_own|]. split; [|split].
  - intros u. pose proof (sg_pos u). pose proof (sg_lt_1 u). split.
    + assert (H1 : forall t, (2 - a) * sg t + - 1 = (2 - a) * sg t - 1) by (intros; ring).
      apply (is_derive_ext _ _ _ _ H1).
      replace ((2 - a) * (sg u * (1 - sg u))) with ((2 - a) * (sg u * (1 - sg u)) + 0) by ring.
      apply @is_derive_plus; [|apply @is_derive_const]. apply is_derive_scal. apply derive_sg.
    + apply Rmult_lt_0_compat; [lra|]. apply Rmult_lt_0_compat; lra.
  - intros u. now apply own_slope_zero.
  - intros u N. rewrite own_anchor by auto. now apply own_min_lt.
Qed.

(** Where v sinks the rejected term vanishes. *)
Lemma sp_small e : 0 < e -> exists v, sp v < e.
Proof.
  intros H. destruct (exp_small e H) as [k [_ Hk]]. exists (- k). pose proof (sp_lt_exp (- k)). lra.
Qed.

(** (b) inf L_a = f_a(-ln(1 - a)) = (2 - a) ln(2 - a) - (1 - a) ln(1 - a), not attained, approached as v sinks. *)
Theorem mio_anchor_b : forall a : R, 0 < a < 1 ->
  own a (- ln (1 - a)) = (2 - a) * ln (2 - a) - (1 - a) * ln (1 - a)
  /\ is_inf (fun x => exists u v, x = js_loss a u v) (own a (- ln (1 - a)))
  /\ (forall u v, own a (- ln (1 - a)) < js_loss a u v)
  /\ (forall e, 0 < e -> exists V, forall v, v < V -> js_loss a (- ln (1 - a)) v < own a (- ln (1 - a)) + e).
Proof.
  intros a Ha.
  assert (Ap : forall e, 0 < e -> exists V, forall v, v < V -> js_loss a (- ln (1 - a)) v < own a (- ln (1 - a)) + e).
  { intros e He. destruct (sp_small e He) as [V HV]. exists V. intros v Hv. rewrite js_loss_own.
    pose proof (sp_increasing v V Hv). pose proof (sp_pos v). nra. }
  assert (Lt : forall u v, own a (- ln (1 - a)) < js_loss a u v).
  { intros u v. rewrite own_anchor by auto. now apply floor_lt_js_loss. }
  split; [now apply own_anchor|]. split; [split|split; [exact Lt|exact Ap]].
  - intros x [u [v ->]]. left. apply Lt.
  - intros b Hb. destruct (Rle_lt_dec b (own a (- ln (1 - a)))) as [|C]; auto. exfalso.
    destruct (Ap (b - own a (- ln (1 - a))) ltac:(lra)) as [V HV]. specialize (HV (V - 1) ltac:(lra)).
    specialize (Hb _ (ex_intro _ (- ln (1 - a)) (ex_intro _ (V - 1) eq_refl))). lra.
Qed.

(** The loss as a function of x = pi_w > 0 and y = pi_l >= 0, y = 0 admitted as a limit, where the rejected term is 0. *)
Definition table_loss (a beta ew el x y : R) : R :=
  own a (beta * ln (x / ew)) + a * (if Req_EM_T y 0 then 0 else sp (beta * ln (y / el))).

(** The ceiling (1 - a)^{-1/beta} ew. *)
Definition ceiling (a beta ew : R) : R := exp (- ln (1 - a) / beta) * ew.

(** (c) On K >= 3 responses (0 chosen, 1 rejected) the pair (pi_w, pi_l) of a law is any point of the triangle x, y >= 0,
    x + y <= 1; there the loss has its only minimum at x = min(1, (1 - a)^{-1/beta} ew), y = 0. *)
Theorem mio_anchor_c : forall a beta ew el : R, 0 < a < 1 -> 0 < beta -> 0 < ew <= 1 -> 0 < el ->
  (forall K x y, (3 <= K)%nat -> 0 <= x -> 0 <= y ->
     (x + y <= 1 <-> exists p, law (seq 0 K) p /\ p 0%nat = x /\ p 1%nat = y))
  /\ (let best := Rmin 1 (ceiling a beta ew) in
      0 < best <= 1
      /\ forall x y, 0 < x -> 0 <= y -> x + y <= 1 -> (x, y) <> (best, 0) ->
           table_loss a beta ew el best 0 < table_loss a beta ew el x y).
Proof.
  intros a beta ew el Ha Hb Hw Hl. split.
  - intros K x y HK Hx Hy. destruct K as [|[|[|K]]]; try lia. split.
    + intros H. exists (fun i => match i with 0%nat => x | 1%nat => y | 2%nat => 1 - x - y | _ => 0 end).
      split; [split|auto].
      * intros [|[|[|i]]] _; lra.
      * cbn [seq sum]. rewrite (sum_ext _ _ (fun _ => 0)), sum_0; [ring|].
        intros i Hi. apply in_seq in Hi. destruct i as [|[|[|i]]]; try lia. reflexivity.
    + intros [p [[N S] [<- <-]]]. cbn [seq sum] in S.
      assert (0 <= p 2%nat) by (apply N; cbn; auto).
      assert (0 <= sum (seq 3 K) p) by (apply sum_nonneg; intros i Hi; apply N; right; right; right; exact Hi).
      lra.
  - intros best. assert (Pc : 0 < ceiling a beta ew) by (apply Rmult_lt_0_compat; [apply exp_pos|lra]).
    assert (Pb : 0 < best <= 1).
    { unfold best, Rmin. destruct (Rle_dec 1 (ceiling a beta ew)); lra. }
    split; auto.
    assert (Lc : beta * ln (ceiling a beta ew / ew) = - ln (1 - a)).
    { unfold ceiling. replace (exp (- ln (1 - a) / beta) * ew / ew) with (exp (- ln (1 - a) / beta)) by (field; lra).
      rewrite ln_exp. field. lra. }
    assert (Mono : forall x x', 0 < x -> x < x' -> beta * ln (x / ew) < beta * ln (x' / ew)).
    { intros x x' Hx Hxx. apply Rmult_lt_compat_l; auto. apply ln_increasing; [apply Rdiv_pos; lra|].
      apply Rmult_lt_compat_r; auto. apply Rinv_0_lt_compat. lra. }
    assert (Own : forall x, 0 < x <= 1 -> x <> best -> own a (beta * ln (best / ew)) < own a (beta * ln (x / ew))).
    { intros x Hx N. unfold best, Rmin in *. destruct (Rle_dec 1 (ceiling a beta ew)) as [C|C].
      - apply own_falls; auto; [apply Mono; lra|]. rewrite <- Lc.
        destruct C as [C|C]; [left; apply Mono; lra|rewrite <- C; lra].
      - rewrite Lc, own_anchor by auto. apply own_min_lt; auto. intros E1. rewrite <- Lc in E1.
        destruct (Rtotal_order x (ceiling a beta ew)) as [D|[D|D]]; [|contradiction|].
        + pose proof (Mono x _ (proj1 Hx) D). lra.
        + pose proof (Mono _ x Pc D). lra. }
    intros x y Hx Hy Hxy N. unfold table_loss.
    destruct (Req_EM_T 0 0) as [_|C]; [|now contradict C].
    destruct (Req_EM_T y 0) as [E0|E0].
    + assert (x <> best) by (intros ->; apply N; now rewrite E0). pose proof (Own x ltac:(lra) H). lra.
    + pose proof (sp_pos (beta * ln (y / el))).
      assert (0 < a * sp (beta * ln (y / el))) by (apply Rmult_lt_0_compat; lra).
      destruct (Req_dec x best) as [->|D]; [lra|]. pose proof (Own x ltac:(lra) D). lra.
Qed.

(** (d) At a = 1, f_1(u) = sp(-u) has no stationary point, and the floor is 0. *)
Theorem mio_anchor_d :
  (forall u, own 1 u = sp (- u) /\ is_derive (own 1) u (- sg (- u)) /\ - sg (- u) <> 0)
  /\ is_inf (fun x => exists u v, x = js_loss 1 u v) 0
  /\ (forall u v, 0 < js_loss 1 u v).
Proof.
  assert (P : forall u v, 0 < js_loss 1 u v).
  { intros u v. unfold js_loss. pose proof (sp_pos (- u)). pose proof (sp_pos v). lra. }
  split; [|split; [split|exact P]].
  - intros u. pose proof (sg_pos (- u)). split; [unfold own; ring|]. split; [|lra].
    replace (- sg (- u)) with ((2 - 1) * sg u - 1) by (rewrite sg_neg; ring). apply derive_own.
  - intros x [u [v ->]]. left. apply P.
  - intros b Hb. destruct (Rle_lt_dec b 0) as [|C]; auto. exfalso.
    destruct (sp_small (b / 2) ltac:(lra)) as [v Hv].
    specialize (Hb _ (ex_intro _ (- v) (ex_intro _ v eq_refl))). unfold js_loss in Hb.
    rewrite Ropp_involutive in Hb. lra.
Qed.
