(** InfoNCE <= min(I, ln K), on any finite sets and for any number K of candidates. *)
From MI Require Import exchangeable pairs.

Section InfoNCE.
Context {X Y : Type} (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R).

(** One row: the score of the positive against all candidates, itself the first. *)
Definition row (x : X) (y : Y) (others : list Y) : R :=
  T x y - ln (mean (y :: others) (fun z => exp (T x z))).

(** Atoms: a pair and k further candidates; W draws the pair from P, V from the product of its marginals. *)
Definition atoms (k : nat) : list ((X * Y) * list Y) := list_prod (list_prod l m) (tuples k m).
Definition with_pair (k : nat) (o : (X * Y) * list Y) : R := p (fst o) * iid (snd_law l p) (snd o).
Definition without_pair (k : nat) (o : (X * Y) * list Y) : R :=
  indep (fst_law m p) (snd_law l p) (fst o) * iid (snd_law l p) (snd o).
Definition row_at (o : (X * Y) * list Y) : R := row (fst (fst o)) (snd (fst o)) (snd o).

(** InfoNCE with k further candidates. *)
Definition infonce (k : nat) : R := E (atoms k) (with_pair k) row_at.

Hypothesis Lp : law (list_prod l m) p.

Lemma law_pairs_and_draws k (w : X * Y -> R) : law (list_prod l m) w ->
  law (atoms k) (fun o => w (fst o) * iid (snd_law l p) (snd o)).
Proof.
  intros [N S]. destruct (law_iid m (snd_law l p) k (law_snd l m p Lp)) as [N2 S2]. split.
  - intros [c s] H. apply in_prod_iff in H. apply Rmult_le_pos; [apply N|apply N2]; tauto.
  - unfold atoms. rewrite sum_list_prod. simpl. rewrite (sum_ext _ _ w); auto.
    intros c _. rewrite sum_scal, S2. ring.
Qed.

Lemma law_with k : law (atoms k) (with_pair k).
Proof. now apply law_pairs_and_draws. Qed.

Lemma law_without k : law (atoms k) (without_pair k).
Proof. apply law_pairs_and_draws. apply (law_indep l m p Lp). Qed.

Lemma ac_with k : ac (atoms k) (with_pair k) (without_pair k).
Proof.
  intros [c s] H Eq. apply in_prod_iff in H. destruct H as [Hc _].
  unfold with_pair, without_pair in *. simpl in *. apply Rmult_integral in Eq.
  destruct Eq as [Eq|Eq]; [rewrite ((ac_indep l m p Lp) c Hc Eq)|rewrite Eq]; ring.
Qed.

Lemma kl_with k : kl (atoms k) (with_pair k) (without_pair k) = information l m p.
Proof.
  destruct (law_iid m (snd_law l p) k (law_snd l m p Lp)) as [N2 S2].
  unfold kl, atoms, information, with_pair, without_pair. rewrite sum_list_prod. apply sum_ext.
  intros c Hc. simpl.
  transitivity (sum (tuples k m) (fun s => (p c * ln (p c / indep (fst_law m p) (snd_law l p) c)) * iid (snd_law l p) s)).
  - apply sum_ext. intros s Hs. destruct (N2 s Hs) as [H|H]; [|rewrite <- H; ring].
    destruct (ac_cases _ _ _ c Lp (law_indep l m p Lp) (ac_indep l m p Lp) Hc) as [->|[H1 H2]]; [unfold Rdiv; ring|].
    replace (p c * iid (snd_law l p) s / (indep (fst_law m p) (snd_law l p) c * iid (snd_law l p) s))
      with (p c / indep (fst_law m p) (snd_law l p) c) by (field; lra). ring.
  - rewrite sum_scal, S2. ring.
Qed.

Lemma mean_exp_pos x (s : list Y) : s <> [] -> 0 < mean s (fun z => exp (T x z)).
Proof.
  intros H. unfold mean. destruct s as [|y s]; [easy|]. apply Rdiv_pos.
  - apply sum_pos; [intros; left; apply exp_pos|]. exists y. split; [now left|apply exp_pos].
  - apply lt_0_INR. simpl. lia.
Qed.

(** E_V e^S = 1: each of the k + 1 candidates has the same share in their sum. *)
Lemma mean_of_exp_row k : E (atoms k) (without_pair k) (fun o => exp (row_at o)) = 1.
Proof.
  unfold E, atoms, without_pair. rewrite sum_list_prod. simpl. rewrite sum_list_prod.
  destruct (law_fst l m p Lp) as [N1 S1]. rewrite <- S1. apply sum_ext. intros x Hx. unfold indep. simpl.
  set (share := fun (y : Y) (s : list Y) => exp (T x y) / mean s (fun z => exp (T x z))).
  assert (Ex := exchange m (snd_law l p) k share).
  transitivity (fst_law m p x * sum m (fun y => snd_law l p y * sum (tuples k m)
    (fun s => iid (snd_law l p) s * share y (y :: s)))).
  - rewrite <- sum_scal. apply sum_ext. intros y _. rewrite <- !sum_scal. apply sum_ext. intros s _.
    unfold row_at, row, share. simpl. unfold Rminus. rewrite exp_plus, exp_Ropp, exp_ln.
    + unfold Rdiv. ring.
    + now apply mean_exp_pos.
  - assert (K : INR (S k) <> 0) by (apply not_0_INR; lia).
    apply (Rmult_eq_reg_l (INR (S k))); auto.
    transitivity (fst_law m p x * sum (tuples (S k) m) (fun s => iid (snd_law l p) s * sum s (fun a => share a s))).
    + rewrite Ex; [ring|]. intros a s t Hst. unfold share.
      now rewrite (mean_permutation s t _ Hst).
    + rewrite (sum_ext _ _ (fun s => iid (snd_law l p) s * INR (S k))).
      * rewrite sum_scal_r. destruct (law_iid m (snd_law l p) (S k) (law_snd l m p Lp)) as [_ ->]. ring.
      * intros s Hs. f_equal. unfold share. rewrite sum_div.
        pose proof (length_tuples m (S k) s Hs) as Ln.
        assert (P := mean_exp_pos x s). unfold mean in *. rewrite Ln in *.
        assert (0 < sum s (fun z => exp (T x z)) / INR (S k)) by (apply P; intros ->; simpl in Ln; lia).
        assert (sum s (fun z => exp (T x z)) <> 0).
        { intros C. rewrite C in H. unfold Rdiv in H. rewrite Rmult_0_l in H. lra. }
        field. auto.
Qed.
End InfoNCE.

(** (a) Every row is below ln K, K = k + 1 >= 2 the number of candidates, so InfoNCE is. *)
Theorem infonce_ceiling_a : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R) (k : nat),
  law (list_prod l m) p -> (1 <= k)%nat ->
  (forall x y others, length others = k -> row T x y others < ln (INR (S k)))
  /\ infonce l m p T k < ln (INR (S k)).
Proof.
  intros X Y l m p T k Lp Hk.
  assert (Row : forall x y others, length others = k -> row T x y others < ln (INR (S k))).
  { intros x y others L. unfold row, mean. cbn [sum length]. rewrite L.
    assert (0 < INR (S k)) by (apply lt_0_INR; lia). pose proof (exp_pos (T x y)).
    assert (0 < sum others (fun z => exp (T x z))).
    { destruct others as [|z s]; [simpl in L; lia|]. apply sum_pos; [intros; left; apply exp_pos|].
      exists z. split; [now left|apply exp_pos]. }
    rewrite ln_div by lra.
    assert (T x y < ln (exp (T x y) + sum others (fun z => exp (T x z)))); [|lra].
    rewrite <- (ln_exp (T x y)) at 1. apply ln_increasing; lra. }
  split; auto. unfold infonce. rewrite <- (E_const _ _ (ln (INR (S k))) (law_with l m p Lp k)).
  apply E_lt; [now apply law_with|]. intros [[x y] s] H _. apply Row. unfold atoms in H.
  apply in_prod_iff in H. now apply (length_tuples m k).
Qed.

(** (b) InfoNCE <= I(X; Y), for any number of candidates; the exact gap is KL(W|e^S V). *)
Theorem infonce_ceiling_b : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R) (k : nat),
  law (list_prod l m) p ->
  let eSV := fun o => exp (row_at T o) * without_pair l m p k o in
  law (atoms l m k) eSV
  /\ information l m p - infonce l m p T k = kl (atoms l m k) (with_pair l p k) eSV
  /\ infonce l m p T k <= information l m p.
Proof.
  intros X Y l m p T k Lp eSV.
  pose proof (law_with l m p Lp k) as Lw. pose proof (law_without l m p Lp k) as Lv.
  pose proof (ac_with l m p Lp k) as A. pose proof (mean_of_exp_row l m p T Lp k) as M.
  assert (Le : law (atoms l m k) eSV).
  { split.
    - intros o Ho. destruct Lv as [N _]. apply Rmult_le_pos; [left; apply exp_pos|now apply N].
    - rewrite <- M. apply sum_ext. intros; unfold eSV; ring. }
  assert (G : information l m p - infonce l m p T k = kl (atoms l m k) (with_pair l p k) eSV).
  { rewrite <- (kl_with l m p Lp k). pose proof (dv_gap _ _ _ (row_at T) Lw Lv A) as D.
    unfold dv in D. unfold mgf in D at 1. rewrite M, ln_1 in D. unfold infonce.
    rewrite Rminus_0_r in D. rewrite D. apply kl_same_r. intros o Ho. unfold tilt, mgf. rewrite M.
    unfold eSV. field. }
  split; [auto|]. split; [auto|].
  assert (Ae : ac (atoms l m k) (with_pair l p k) eSV).
  { intros o Ho Eq. apply A; auto. unfold eSV in Eq. pose proof (exp_pos (row_at T o)).
    apply Rmult_integral in Eq. destruct Eq; [lra|auto]. }
  pose proof (kl_nonneg _ _ _ Lw Le Ae). lra.
Qed.

(** (c) The value does not change under T + c(x). *)
Theorem infonce_ceiling_c : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R)
    (c : X -> R) (k : nat),
  law (list_prod l m) p -> infonce l m p (fun x y => T x y + c x) k = infonce l m p T k.
Proof.
  intros X Y l m p T c k Lp. apply E_ext. intros [[x y] s] H. unfold row_at, row. simpl.
  assert (M : mean (y :: s) (fun z => exp (T x z + c x)) = exp (c x) * mean (y :: s) (fun z => exp (T x z))).
  { unfold mean. rewrite (sum_ext _ _ (fun z => exp (c x) * exp (T x z))) by (intros; rewrite exp_plus; ring).
    rewrite sum_scal. unfold Rdiv. ring. }
  rewrite M, ln_mult, ln_exp; [ring|apply exp_pos|now apply mean_exp_pos].
Qed.

(** (d) In a batch of K = k + 1 independent pairs, each row with the y of all pairs as its candidates, the mean over rows has
    the expectation of InfoNCE. *)
Theorem infonce_ceiling_d : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R) (k : nat),
  law (list_prod l m) p ->
  E (tuples (S k) (list_prod l m)) (iid p)
    (fun batch => mean batch (fun c => T (fst c) (snd c) - ln (mean (map snd batch) (fun z => exp (T (fst c) z)))))
  = infonce l m p T k.
Proof.
  intros X Y l m p T k Lp.
  set (value := fun (c : X * Y) (batch : list (X * Y)) =>
    T (fst c) (snd c) - ln (mean (map snd batch) (fun z => exp (T (fst c) z)))).
  assert (K : INR (S k) <> 0) by (apply not_0_INR; lia).
  transitivity (/ INR (S k) * sum (tuples (S k) (list_prod l m)) (fun s => iid p s * sum s (fun c => value c s))).
  - unfold E. rewrite <- sum_scal. apply sum_ext. intros s Hs. unfold mean at 1.
    rewrite (length_tuples _ _ s Hs). unfold value, Rdiv. ring.
  - rewrite (exchange (list_prod l m) p k value).
    + rewrite <- Rmult_assoc, Rinv_l, Rmult_1_l by auto. unfold infonce, E, atoms. rewrite (sum_list_prod (list_prod l m)).
      apply sum_ext. intros [x y] _. rewrite <- sum_scal.
      pose proof (sum_iid_snd l m p k (fun ys => p (x, y) * row T x y ys)) as Q.
      transitivity (sum (tuples k (list_prod l m)) (fun s => iid p s * (p (x, y) * row T x y (map snd s)))).
      * apply sum_ext. intros s _. unfold value, row. simpl. ring.
      * rewrite Q. apply sum_ext. intros s _. unfold with_pair, row_at. simpl. ring.
    + intros a s t H. unfold value.
      now rewrite (mean_permutation _ _ _ (Permutation_map snd H)).
Qed.
