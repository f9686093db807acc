(** Independent draws are exchangeable: what one of n draws does to a symmetric function, each of them does. *)
From MI Require Export lemmas.
From Coq Require Export Permutation.

Lemma sum_permutation {A} (s t : list A) (f : A -> R) : Permutation s t -> sum s f = sum t f.
Proof. induction 1; simpl; lra. Qed.

Lemma mean_permutation {A} (s t : list A) (f : A -> R) : Permutation s t -> mean s f = mean t f.
Proof. intros H. unfold mean. now rewrite (sum_permutation s t f H), (Permutation_length H). Qed.

Section Draws.
Context {A : Type} (l : list A) (p : A -> R).

Lemma sum_tuples_S n (f : list A -> R) :
  sum (tuples (S n) l) f = sum l (fun a => sum (tuples n l) (fun s => f (a :: s))).
Proof. simpl. rewrite sum_map, sum_list_prod. reflexivity. Qed.

Lemma length_tuples n s : In s (tuples n l) -> length s = n.
Proof.
  revert s. induction n as [|n IH]; simpl; intros s H.
  - destruct H as [<-|[]]. reflexivity.
  - apply in_map_iff in H. destruct H as [[a t] [<- H]]. apply in_prod_iff in H. simpl.
    f_equal. now apply IH.
Qed.

Lemma in_tuples n s a : In s (tuples n l) -> In a s -> In a l.
Proof.
  revert s. induction n as [|n IH]; simpl; intros s H Ha.
  - destruct H as [<-|[]]. easy.
  - apply in_map_iff in H. destruct H as [[b t] [<- H]]. apply in_prod_iff in H. simpl in Ha.
    destruct Ha as [<-|Ha]; [easy|]. now apply (IH t).
Qed.

Lemma law_iid n : law l p -> law (tuples n l) (iid p).
Proof.
  intros [N S]. split.
  - intros s H. apply product_nonneg. intros a Ha. apply N. now apply (in_tuples n s).
  - induction n as [|n IH]; [simpl; unfold iid; simpl; lra|].
    rewrite sum_tuples_S. unfold iid in *. simpl.
    rewrite (sum_ext l _ p); auto. intros a _. rewrite sum_scal, IH. ring.
Qed.

(** The sum over the draws of a function that does not see the order of the others. *)
Lemma exchange n : forall (f : A -> list A -> R),
  (forall a s t, Permutation s t -> f a s = f a t) ->
  sum (tuples (S n) l) (fun s => iid p s * sum s (fun a => f a s))
    = INR (S n) * sum l (fun a => p a * sum (tuples n l) (fun s => iid p s * f a (a :: s))).
Proof.
  induction n as [|n IH]; intros f Sym.
  - rewrite sum_tuples_S. simpl. rewrite Rmult_1_l. apply sum_ext. intros a _. unfold iid. simpl. ring.
  - rewrite sum_tuples_S.
    rewrite (sum_ext l _ (fun a => p a * sum (tuples (S n) l) (fun s => iid p s * f a (a :: s))
      + p a * sum (tuples (S n) l) (fun s => iid p s * sum s (fun b => f b (a :: s))))).
    2: { intros a _. rewrite <- !sum_scal, <- sum_plus. apply sum_ext. intros s _.
         unfold iid. simpl. ring. }
    rewrite sum_plus.
    rewrite (sum_ext l (fun a => p a * sum (tuples (S n) l) (fun s => iid p s * sum s (fun b => f b (a :: s))))
      (fun a => sum l (fun b => INR (S n) * (p a * (p b * sum (tuples n l) (fun s => iid p s * f b (a :: b :: s))))))).
    2: { intros a _. rewrite (IH (fun b s => f b (a :: s))).
         - rewrite <- !sum_scal. apply sum_ext. intros; ring.
         - intros b s t H. apply Sym. now constructor. }
    rewrite sum_swap.
    rewrite (sum_ext l (fun b => sum l (fun a => _))
      (fun b => INR (S n) * (p b * sum (tuples (S n) l) (fun s => iid p s * f b (b :: s))))).
    2: { intros b _. rewrite sum_tuples_S, <- !sum_scal. apply sum_ext. intros a _.
         rewrite <- !sum_scal. apply sum_ext. intros s _. unfold iid. simpl.
         rewrite (Sym b (a :: b :: s) (b :: a :: s)) by constructor. ring. }
    rewrite sum_scal, (S_INR (S n)). ring.
Qed.

(** A function of one draw. *)
Lemma first_draw n (f : A -> R) : law l p ->
  sum l (fun a => p a * sum (tuples n l) (fun s => iid p s * f a)) = E l p f.
Proof.
  intros L. apply sum_ext. intros a _. rewrite sum_scal_r.
  destruct (law_iid n L) as [_ ->]. ring.
Qed.

(** The mean over independent draws of a sum is the number of draws times the mean. *)
Lemma E_sum_iid n (f : A -> R) : law l p ->
  E (tuples n l) (iid p) (fun s => sum s f) = INR n * E l p f.
Proof.
  intros L. destruct n as [|n].
  - unfold E, iid. simpl. lra.
  - pose proof (exchange n (fun a _ => f a) ltac:(easy)) as H. cbv beta in H.
    transitivity (sum (tuples (S n) l) (fun s => iid p s * sum s (fun a => f a))); [reflexivity|].
    rewrite H. now rewrite first_draw.
Qed.

Lemma E_mean_iid n (f : A -> R) : law l p -> (0 < n)%nat ->
  E (tuples n l) (iid p) (fun s => mean s f) = E l p f.
Proof.
  intros L H. unfold mean.
  assert (INR n <> 0) by (apply not_0_INR; lia).
  transitivity (E (tuples n l) (iid p) (fun s => / INR n * sum s f)).
  - apply E_ext. intros s Hs. rewrite (length_tuples n s Hs). unfold Rdiv. ring.
  - rewrite E_scal, E_sum_iid; auto. field. auto.
Qed.

End Draws.

(** Draws of pairs, of which one side is looked at, are draws from the marginal. *)
Lemma sum_iid_snd {X Y} (l : list X) (m : list Y) (p : X * Y -> R) n : forall (g : list Y -> R),
  sum (tuples n (list_prod l m)) (fun s => iid p s * g (map snd s))
    = sum (tuples n m) (fun ys => iid (snd_law l p) ys * g ys).
Proof.
  induction n as [|n IH]; intros g; [simpl; unfold iid; simpl; ring|].
  rewrite !sum_tuples_S, sum_list_prod.
  rewrite sum_swap. apply sum_ext. intros y _.
  rewrite (sum_ext l _ (fun x => p (x, y) * sum (tuples n m) (fun ys => iid (snd_law l p) ys * g (y :: ys)))).
  - rewrite sum_scal_r. fold (snd_law l p y). rewrite <- sum_scal. apply sum_ext. intros; unfold iid; simpl; ring.
  - intros x _. rewrite <- IH, <- sum_scal. apply sum_ext. intros s _. unfold iid. simpl. ring.
Qed.
