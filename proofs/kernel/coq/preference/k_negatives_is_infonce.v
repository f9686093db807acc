(** K - 1 rejected responses: ln K - L is a row of InfoNCE, below ln K; K = 2 is DPO. *)
From MI Require Import preference.pairs_of_scores.
From Coq Require Import Permutation.

(** (a) ln K - L is a row of InfoNCE, and DV at the positive u and K candidates of weight 1/K, the mix a = 1 - 1/K. *)
Theorem k_negatives_is_infonce_a : forall (u : R) (vs : list R), vs <> [] ->
  let n := length vs in
  let K := INR (S n) in
  ln K - plackett u vs = u - ln (mean (u :: vs) exp)
  /\ ln K - plackett u vs = dv (candidates u vs) on_chosen (weights (1 - / K) n) snd
  /\ (forall c, In c (candidates u vs) -> weights (1 - / K) n c = / K).
Proof.
  intros u vs H n K. assert (PK : 0 < K) by (apply lt_0_INR; lia).
  assert (Pn : 0 < INR n) by (apply lt_0_INR; unfold n; destruct vs; [easy|simpl; lia]).
  assert (EK : K = INR n + 1) by apply S_INR.
  pose proof (exp_pos u). pose proof (sum_exp_pos vs H).
  assert (R : ln K - plackett u vs = u - ln (mean (u :: vs) exp)).
  { rewrite plackett_alt. unfold mean. cbn [sum length]. fold n. fold K. rewrite ln_div by lra. ring. }
  assert (W : forall c, weights (1 - / K) n c = / K).
  { intros [b t]. unfold weights. simpl. destruct b; rewrite EK; field; lra. }
  split; [exact R|]. split; [|intros; apply W]. rewrite R. unfold dv, mgf. rewrite E_on_chosen. simpl snd.
  f_equal. f_equal. f_equal. unfold mean, E. rewrite (sum_ext _ _ (fun x => / K * exp (snd x))) by (intros; now rewrite W).
  unfold candidates. cbn [sum length]. fold n. fold K. rewrite sum_map. simpl. rewrite sum_scal. field. lra.
Qed.

Lemma plackett_pos u vs : vs <> [] -> 0 < plackett u vs.
Proof.
  intros H. rewrite plackett_alt. pose proof (exp_pos u). pose proof (sum_exp_pos vs H).
  assert (u < ln (exp u + sum vs exp)); [|lra]. rewrite <- (ln_exp u) at 1. apply ln_increasing; lra.
Qed.

(** (b) 0 < L, so ln K - L < ln K; it is 0 at equal scores. *)
Theorem k_negatives_is_infonce_b : forall (u : R) (vs : list R), vs <> [] ->
  0 < plackett u vs
  /\ ln (INR (S (length vs))) - plackett u vs < ln (INR (S (length vs)))
  /\ ((forall v, In v vs -> v = u) -> ln (INR (S (length vs))) - plackett u vs = 0).
Proof.
  intros u vs H. pose proof (plackett_pos u vs H). split; [auto|]. split; [lra|]. intros Eq.
  rewrite plackett_alt, (sum_ext vs exp (fun _ => exp u)) by (intros v Hv; now rewrite (Eq v Hv)).
  rewrite sum_const. pose proof (exp_pos u). assert (0 <= INR (length vs)) by apply pos_INR.
  replace (exp u + INR (length vs) * exp u) with (INR (S (length vs)) * exp u) by (rewrite S_INR; ring).
  rewrite ln_mult, ln_exp; auto; [ring|]. apply lt_0_INR. lia.
Qed.

(** (c) L does not change when a constant is added to all scores. *)
Theorem k_negatives_is_infonce_c : forall (u c : R) (vs : list R),
  plackett (u + c) (map (fun v => v + c) vs) = plackett u vs.
Proof.
  intros. rewrite !plackett_alt, sum_map.
  rewrite (sum_ext vs _ (fun v => exp c * exp v)) by (intros; rewrite exp_plus; ring).
  rewrite sum_scal, exp_plus. change (sum vs (fun x => exp x)) with (sum vs exp). pose proof (exp_pos u). pose proof (exp_pos c). pose proof (sum_exp_nonneg vs).
  replace (exp u * exp c + exp c * sum vs exp) with (exp c * (exp u + sum vs exp)) by ring.
  rewrite ln_mult, ln_exp; auto; [ring|lra].
Qed.

Lemma plackett_cons u v vs : plackett u (v :: vs) <= plackett u vs + sp (v - u)
  /\ (vs <> [] -> plackett u (v :: vs) < plackett u vs + sp (v - u)).
Proof.
  rewrite !plackett_alt. cbn [sum]. pose proof (exp_pos u). pose proof (exp_pos v). pose proof (sum_exp_nonneg vs) as N.
  set (s := sum vs exp) in *. unfold sp.
  assert (E1 : exp (v - u) = exp v / exp u) by (unfold Rminus; rewrite exp_plus, exp_Ropp; reflexivity).
  assert (P1 : 0 < 1 + exp (v - u)) by (pose proof (exp_pos (v - u)); lra).
  assert (P2 : (exp u + s) * (1 + exp (v - u)) = exp u + (exp v + s) + s * (exp v / exp u)) by (rewrite E1; field; lra).
  assert (0 < exp v / exp u) by now apply Rdiv_pos.
  assert (L : ln (exp u + s) + ln (1 + exp (v - u)) = ln ((exp u + s) * (1 + exp (v - u)))) by (rewrite ln_mult; lra).
  split.
  - assert (ln (exp u + (exp v + s)) <= ln ((exp u + s) * (1 + exp (v - u)))); [|lra].
    apply ln_le_iff; rewrite ?P2; try lra; nra.
  - intros Hv. assert (0 < s) by now apply sum_exp_pos.
    assert (ln (exp u + (exp v + s)) < ln ((exp u + s) * (1 + exp (v - u)))); [|lra].
    apply ln_increasing; [lra|]. rewrite P2. nra.
Qed.

(** (d) With one rejected response L is DPO. With D_j DPO's loss against the j-th, max D_j <= L <= sum D_j, both strict for
    more than one. *)
Theorem k_negatives_is_infonce_d : forall (u : R) (vs : list R),
  (forall v, plackett u [v] = dpo u v)
  /\ (forall v, In v vs -> dpo u v <= plackett u vs)
  /\ plackett u vs <= sum vs (dpo u)
  /\ ((2 <= length vs)%nat -> (forall v, In v vs -> dpo u v < plackett u vs) /\ plackett u vs < sum vs (dpo u)).
Proof.
  intros u vs.
  assert (One : forall v, dpo u v = ln (exp u + exp v) - u).
  { intros v. unfold dpo, sp. pose proof (exp_pos u). pose proof (exp_pos v).
    replace (1 + exp (v - u)) with ((exp u + exp v) / exp u) by (unfold Rminus; rewrite exp_plus, exp_Ropp; field; lra).
    rewrite ln_div, ln_exp; lra. }
  assert (Up : plackett u vs <= sum vs (dpo u)).
  { induction vs as [|v vs IH].
    - simpl. unfold plackett. simpl. rewrite Rplus_0_r. unfold Rdiv. rewrite Rinv_r, ln_1; [lra|].
      pose proof (exp_pos u). lra.
    - simpl. destruct (plackett_cons u v vs) as [H _]. unfold dpo at 1. lra. }
  split; [|split; [|split; [exact Up|]]].
  - intros v. rewrite plackett_alt, One. cbn [sum]. now rewrite Rplus_0_r.
  - intros v Hv. rewrite plackett_alt, One. pose proof (exp_pos u). pose proof (exp_pos v).
    pose proof (sum_ge_term vs exp v (fun y _ => Rlt_le _ _ (exp_pos y)) Hv).
    assert (ln (exp u + exp v) <= ln (exp u + sum vs exp)) by (apply ln_le_iff; lra). lra.
  - intros L2. split.
    + intros v Hv. rewrite plackett_alt, One. pose proof (exp_pos u). pose proof (exp_pos v).
      assert (exp v < sum vs exp).
      { clear - L2 Hv. destruct vs as [|a [|b vs]]; simpl in L2; try lia.
        pose proof (exp_pos a). pose proof (exp_pos b). pose proof (sum_exp_nonneg vs).
        destruct Hv as [<-|Hv]; [cbn [sum]; lra|].
        pose proof (sum_ge_term (b :: vs) exp v (fun y _ => Rlt_le _ _ (exp_pos y)) Hv).
        change (exp v < exp a + sum (b :: vs) exp). lra. }
      assert (ln (exp u + exp v) < ln (exp u + sum vs exp)) by (apply ln_increasing; lra). lra.
    + destruct vs as [|a [|b vs]]; simpl in L2; try lia.
      destruct (plackett_cons u a (b :: vs)) as [_ H]. specialize (H ltac:(easy)).
      assert (plackett u (b :: vs) <= sum (b :: vs) (dpo u)).
      { clear - One. revert b. induction vs as [|c vs IH]; intros b.
        - rewrite plackett_alt. cbn [sum]. rewrite One, !Rplus_0_r. lra.
        - destruct (plackett_cons u b (c :: vs)) as [H _]. specialize (IH c). cbn [sum] in *. unfold dpo at 1. lra. }
      cbn [sum] in *. unfold dpo at 1. lra.
Qed.

(** Plackett-Luce: the probability of an order, and all orders of a list. *)
Fixpoint luce (s : list R) : R := match s with [] => 1 | t :: rest => exp t / sum s exp * luce rest end.

Fixpoint picks {A} (s : list A) : list (A * list A) :=
  match s with [] => [] | a :: t => (a, t) :: map (fun c => (fst c, a :: snd c)) (picks t) end.

Fixpoint orders {A} (n : nat) (s : list A) : list (list A) :=
  match n with
  | O => [[]]
  | S k => flat_map (fun c => map (cons (fst c)) (orders k (snd c))) (picks s)
  end.

Lemma in_picks {A} (s : list A) a t : In (a, t) (picks s) -> Permutation s (a :: t).
Proof.
  revert a t. induction s as [|b s IH]; simpl; intros a t H; [easy|].
  destruct H as [H|H]; [injection H as <- <-; apply Permutation_refl|].
  apply in_map_iff in H. destruct H as [[c r] [H1 H2]]. simpl in H1. injection H1 as <- <-.
  apply IH in H2. rewrite H2. constructor.
Qed.

Lemma sum_picks {A} (s : list A) (f : A -> R) : sum (picks s) (fun c => f (fst c)) = sum s f.
Proof. induction s as [|a s IH]; simpl; auto. rewrite sum_map. simpl. now rewrite IH. Qed.

Lemma sum_flat_map {A B} (s : list A) (h : A -> list B) f :
  sum (flat_map h s) f = sum s (fun a => sum (h a) f).
Proof. induction s as [|a s IH]; simpl; auto. now rewrite sum_app, IH. Qed.

Lemma sum_perm {A} (s t : list A) f : Permutation s t -> sum s f = sum t f.
Proof. induction 1; simpl; lra. Qed.

Lemma orders_permutations {A} n : forall (s o : list A), length s = n -> In o (orders n s) -> Permutation s o.
Proof.
  induction n as [|n IH]; intros s o L H.
  - destruct s; [|easy]. destruct H as [<-|[]]. constructor.
  - simpl in H. apply in_flat_map in H. destruct H as [[a t] [H1 H2]]. apply in_picks in H1.
    apply in_map_iff in H2. destruct H2 as [r [<- H2]]. simpl in *.
    rewrite H1. constructor. apply IH; auto. apply Permutation_length in H1. simpl in H1. lia.
Qed.

Lemma sum_luce n : forall s, length s = n -> sum (orders n s) luce = 1.
Proof.
  induction n as [|n IH]; intros s L; [simpl; ring|].
  cbn [orders]. rewrite sum_flat_map.
  rewrite (sum_ext (picks s) _ (fun c => exp (fst c) / sum s exp)).
  - rewrite sum_div, (sum_picks s exp). field. assert (s <> []) by (intros ->; easy). pose proof (sum_exp_pos s H). lra.
  - intros [a t] H. pose proof (in_picks s a t H) as P. rewrite sum_map. simpl fst. simpl snd.
    rewrite (sum_ext (orders n t) _ (fun o => exp a / sum s exp * luce o)).
    + rewrite sum_scal, IH; [ring|]. apply Permutation_length in P. simpl in P. lia.
    + intros o Ho. cbn [luce].
      assert (Lt : length t = n) by (apply Permutation_length in P; simpl in P; lia).
      rewrite (sum_perm s (a :: t) exp P). cbn [sum].
      rewrite (sum_perm t o exp (orders_permutations n t o Lt Ho)). reflexivity.
Qed.

(** (e) e^{-L} is the probability that the Plackett-Luce model ranks the chosen one first: the sum over all orders of the
    others. *)
Theorem k_negatives_is_infonce_e : forall (u : R) (vs : list R),
  exp (- plackett u vs) = sum (orders (length vs) vs) (fun o => luce (u :: o))
  /\ exp (- plackett u vs) = exp u / (exp u + sum vs exp)
  /\ (forall o, In o (orders (length vs) vs) -> Permutation vs o).
Proof.
  intros u vs. pose proof (exp_pos u). pose proof (sum_exp_nonneg vs).
  assert (L : exp (- plackett u vs) = exp u / (exp u + sum vs exp)).
  { unfold plackett. rewrite Ropp_involutive, exp_ln; auto. apply Rdiv_pos; lra. }
  split; [|split; [exact L|intros; now apply orders_permutations with (length vs)]].
  rewrite L. rewrite (sum_ext _ _ (fun o => exp u / (exp u + sum vs exp) * luce o)).
  - rewrite sum_scal, sum_luce by auto. ring.
  - intros o Ho. cbn [luce sum].
    rewrite (sum_perm vs o exp (orders_permutations (length vs) vs o eq_refl Ho)). reflexivity.
Qed.
