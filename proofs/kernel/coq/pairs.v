(** Laws of pairs on a product of two finite sets, their marginals, and mutual information. *)
From MI Require Export lemmas.

Section Pairs.
Context {X Y : Type} (l : list X) (m : list Y) (p : X * Y -> R).

(** I(X; Y) = KL(P | product of the marginals). *)
Definition information : R := kl (list_prod l m) p (indep (fst_law m p) (snd_law l p)).

Hypothesis Lp : law (list_prod l m) p.

Lemma law_fst : law l (fst_law m p).
Proof.
  destruct Lp as [N S]. split.
  - intros x Hx. apply sum_nonneg. intros y Hy. apply N. now apply in_prod.
  - rewrite sum_list_prod in S. exact S.
Qed.

Lemma law_snd : law m (snd_law l p).
Proof.
  destruct Lp as [N S]. split.
  - intros y Hy. apply sum_nonneg. intros x Hx. apply N. now apply in_prod.
  - rewrite sum_list_prod in S. rewrite <- S. symmetry. apply sum_swap.
Qed.

Lemma law_indep : law (list_prod l m) (indep (fst_law m p) (snd_law l p)).
Proof.
  destruct law_fst as [N1 S1]. destruct law_snd as [N2 S2]. split.
  - intros [x y] H. apply in_prod_iff in H. apply Rmult_le_pos; [apply N1|apply N2]; tauto.
  - rewrite sum_list_prod. unfold indep. simpl.
    rewrite (sum_ext l _ (fst_law m p)); auto. intros x _. rewrite sum_scal, S2. ring.
Qed.

Lemma ac_indep : ac (list_prod l m) p (indep (fst_law m p) (snd_law l p)).
Proof.
  destruct Lp as [N S]. intros [x y] H Eq. apply in_prod_iff in H. destruct H as [Hx Hy].
  unfold indep in Eq. simpl in Eq. apply Rmult_integral in Eq. destruct Eq as [Eq|Eq].
  - apply (sum_nonneg_0 m (fun y => p (x, y))); auto. intros z Hz. apply N. now apply in_prod.
  - apply (sum_nonneg_0 l (fun x => p (x, y))); auto. intros z Hz. apply N. now apply in_prod.
Qed.

End Pairs.
