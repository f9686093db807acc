(** Softmax policies with a free logit for each response of a finite set, and their derivatives along any direction. *)
From MI Require Export lemmas.

(** [soft l t x]: e^{t x} over its sum. *)
Definition soft {X} (l : list X) (t : X -> R) (x : X) : R := exp (t x) / sum l (fun y => exp (t y)).

(** The indicator of one response, for a type whose equality is decidable. *)
Definition at_ {X} (dec : forall a b : X, {a = b} + {a <> b}) (y x : X) : R := if dec x y then 1 else 0.

(** [along t d s]: the logits t moved by s in the direction d. *)
Definition along {X} (t d : X -> R) (s : R) (x : X) : R := t x + s * d x.

Section Softmax.
Context {X : Type} (l : list X) (NE : l <> []).

Lemma soft_sum_pos t : 0 < sum l (fun y => exp (t y)).
Proof.
  destruct l as [|a m] eqn:El; [easy|]. apply sum_pos; [intros; left; apply exp_pos|].
  exists a. split; [now left|apply exp_pos].
Qed.

Lemma soft_pos t x : 0 < soft l t x.
Proof. apply Rdiv_pos; [apply exp_pos|apply soft_sum_pos]. Qed.

Lemma law_soft t : law l (soft l t).
Proof.
  split; [intros; left; apply soft_pos|]. unfold soft. rewrite sum_div.
  pose proof (soft_sum_pos t). field. lra.
Qed.

Lemma ln_soft t x : ln (soft l t x) = t x - ln (sum l (fun y => exp (t y))).
Proof. unfold soft. rewrite ln_div, ln_exp; auto using exp_pos, soft_sum_pos. Qed.

Lemma derive_sum_exp t d s :
  is_derive (fun s => sum l (fun y => exp (along t d s y))) s (sum l (fun y => d y * exp (along t d s y))).
Proof.
  apply (derive_sum l (fun y s => exp (along t d s y)) (fun y s => d y * exp (along t d s y))).
  intros y _. unfold along. auto_derive; auto. ring.
Qed.

Lemma derive_log_sum t d s :
  is_derive (fun s => ln (sum l (fun y => exp (along t d s y)))) s (E l (soft l (along t d s)) d).
Proof.
  evar_last.
  - apply (is_derive_comp ln (fun s => sum l (fun y => exp (along t d s y)))); [|apply derive_sum_exp].
    apply is_derive_Reals. apply derivable_pt_lim_ln. apply soft_sum_pos.
  - unfold scal. simpl. unfold mult. simpl. unfold E, soft.
    rewrite (sum_ext l (fun x => exp (along t d s x) / _ * d x)
      (fun x => d x * exp (along t d s x) / sum l (fun y => exp (along t d s y)))) by (intros; unfold Rdiv; ring).
    rewrite sum_div. reflexivity.
Qed.

Lemma derive_soft t d s x :
  is_derive (fun s => soft l (along t d s) x) s
    (soft l (along t d s) x * (d x - E l (soft l (along t d s)) d)).
Proof.
  pose proof (soft_sum_pos (along t d s)) as P.
  assert (D : is_derive (fun s => along t d s x) s (d x)) by (unfold along; auto_derive; auto; ring).
  apply (is_derive_ext (fun s => exp (along t d s x - ln (sum l (fun y => exp (along t d s y)))))).
  - intros u. unfold Rminus. rewrite exp_plus, exp_Ropp, exp_ln by apply soft_sum_pos. reflexivity.
  - evar_last.
    + apply (is_derive_comp exp (fun s => along t d s x - ln (sum l (fun y => exp (along t d s y))))).
      * apply is_derive_Reals. apply derivable_pt_lim_exp.
      * apply @is_derive_minus; [|apply derive_log_sum]. exact D.
    + unfold scal, minus, plus, opp. simpl. unfold mult. simpl.
      replace (exp (along t d s x - ln (sum l (fun y => exp (along t d s y))))) with (soft l (along t d s) x).
      * ring.
      * unfold Rminus. rewrite exp_plus, exp_Ropp, exp_ln by apply soft_sum_pos. reflexivity.
Qed.

(** The derivative of a mean under the policy is a covariance. *)
Lemma derive_mean t d s f :
  is_derive (fun s => E l (soft l (along t d s)) f) s
    (E l (soft l (along t d s)) (fun x => (d x - E l (soft l (along t d s)) d) * f x)).
Proof.
  evar_last.
  - apply (derive_sum l (fun x s => soft l (along t d s) x * f x)
      (fun x s => soft l (along t d s) x * (d x - E l (soft l (along t d s)) d) * f x)).
    intros x _. evar_last; [apply (is_derive_mult (fun s => soft l (along t d s) x) (fun _ => f x));
      [apply derive_soft|apply @is_derive_const|intros; apply Rmult_comm]|].
    unfold plus, mult, zero. simpl. unfold mult. simpl. ring.
  - unfold E. apply sum_ext. intros; ring.
Qed.
End Softmax.

Lemma sum_at {X} dec (l : list X) f y : NoDup l -> In y l -> sum l (fun x => f x * at_ dec y x) = f y.
Proof.
  induction l as [|a l IH]; simpl; intros N H; [easy|]. inversion N as [|? ? Na Nl]; subst. unfold at_ at 1.
  destruct H as [->|H].
  - destruct (dec y y) as [_|C]; [|now contradict C].
    rewrite (sum_ext l _ (fun _ => 0)), sum_0; [ring|]. intros x Hx. unfold at_.
    destruct (dec x y) as [->|]; [contradiction|ring].
  - destruct (dec a y) as [->|_]; [contradiction|]. rewrite IH; auto. ring.
Qed.

Lemma E_at {X} dec (l : list X) p y : NoDup l -> In y l -> E l p (at_ dec y) = p y.
Proof. intros. unfold E. now apply sum_at. Qed.
