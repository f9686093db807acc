(** RLHF's objective and the DV bound have the same gap KL(pi|pi_star). *)
From MI Require Import lemmas.

Lemma tilt_full {X} (l : list X) q T : law l q -> full l q -> full l (tilt l q T).
Proof.
  intros L F x Hx. unfold tilt. pose proof (mgf_pos l q T L). pose proof (exp_pos (T x)).
  specialize (F x Hx). apply Rdiv_pos; auto. now apply Rmult_lt_0_compat.
Qed.

Lemma full_ac {X} (l : list X) p q : full l q -> ac l p q.
Proof. intros F x Hx H. specialize (F x Hx). lra. Qed.

Lemma duality : forall (X : Type) (l : list X) (policy reference r : X -> R) (beta : R),
  law l policy -> law l reference -> full l reference -> 0 < beta ->
  E l policy r - beta * kl l policy reference
    = beta * ln (mgf l reference (fun y => r y / beta))
      - beta * kl l policy (tilt l reference (fun y => r y / beta)).
Proof.
  intros X l p q r beta Lp Lq F Hb.
  rewrite <- dv_gap by auto using full_ac. unfold dv.
  rewrite (E_ext l p (fun y => r y / beta) (fun y => / beta * r y)) by (intros; unfold Rdiv; ring).
  rewrite E_scal. field. lra.
Qed.

(** (a) J(pi) = E_pi r - beta KL(pi|ref) = beta ln Z - beta KL(pi|pi_star) for every law pi, atoms without mass allowed; so
    beta ln Z is the maximum, and pi_star, proportional to ref e^{r/beta}, the only maximiser. *)
Theorem gibbs_dv_duality_a : forall (X : Type) (l : list X) (reference r : X -> R) (beta : R),
  law l reference -> full l reference -> 0 < beta ->
  let best := tilt l reference (fun y => r y / beta) in
  let top := beta * ln (mgf l reference (fun y => r y / beta)) in
  let J := fun policy => E l policy r - beta * kl l policy reference in
  law l best
  /\ J best = top
  /\ forall policy, law l policy ->
       J policy = top - beta * kl l policy best
       /\ J policy <= top
       /\ (J policy = top <-> same l policy best).
Proof.
  intros X l q r beta Lq F Hb best top J.
  assert (Lb : law l best) by now apply law_tilt.
  assert (Fb : full l best) by now apply tilt_full.
  assert (D : forall p, law l p -> J p = top - beta * kl l p best) by (intros; now apply duality).
  split; [auto|]. split; [rewrite D, kl_refl; auto; ring|].
  intros p Lp. pose proof (kl_nonneg l p best Lp Lb (full_ac l p best Fb)).
  pose proof (kl_zero l p best Lp Lb (full_ac l p best Fb)) as K.
  split; [auto|]. rewrite D; auto. split; [nra|]. rewrite <- K. split; intros H1.
  - apply (Rmult_eq_reg_l beta); lra.
  - rewrite H1. ring.
Qed.

(** (b) With T = r/beta, KL(pi|ref) - DV(T) = KL(pi|pi_star): the bound is tight iff pi = pi_star. *)
Theorem gibbs_dv_duality_b : forall (X : Type) (l : list X) (policy reference r : X -> R) (beta : R),
  law l policy -> law l reference -> full l reference -> 0 < beta ->
  let T := fun y => r y / beta in
  kl l policy reference - dv l policy reference T = kl l policy (tilt l reference T)
  /\ (kl l policy reference - dv l policy reference T = 0 <-> same l policy (tilt l reference T)).
Proof.
  intros X l p q r beta Lp Lq F Hb T. pose proof (dv_gap l p q T Lp Lq (full_ac l p q F)) as D.
  split; [exact D|]. rewrite D. apply kl_zero; auto using law_tilt, full_ac, tilt_full.
Qed.
