(** What the generated goals use: named values, products of powers, and tactics that read a sign off a form. *)
From MI Require Export lemmas numbers.
From Coq Require Export ZArith.

(** A value under a name, so that [field] sees an atom. *)
Lemma named (x : R) : exists g, g = x.
Proof. now exists x. Qed.

Definition zpow (f : R) (k : Z) : R :=
  match k with Z0 => 1 | Zpos n => f ^ Pos.to_nat n | Zneg n => / f ^ Pos.to_nat n end.
Fixpoint zprod (s : list (Z * R)) : R :=
  match s with [] => 1 | c :: t => zpow (snd c) (fst c) * zprod t end.
Fixpoint zlin (s : list (Z * R)) : R :=
  match s with [] => 0 | c :: t => IZR (fst c) * snd c + zlin t end.
Definition zmap (h : R -> R) (s : list (Z * R)) : list (Z * R) := map (fun c => (fst c, h (snd c))) s.

Lemma pow_exp n x : exp x ^ n = exp (INR n * x).
Proof.
  induction n as [|n IH]; [simpl; now rewrite Rmult_0_l, exp_0|].
  rewrite S_INR. simpl. rewrite IH, <- exp_plus. f_equal. ring.
Qed.

Lemma zpow_exp k x : zpow (exp x) k = exp (IZR k * x).
Proof.
  destruct k as [|n|n]; simpl.
  - now rewrite Rmult_0_l, exp_0.
  - rewrite pow_exp, INR_IZR_INZ, positive_nat_Z. reflexivity.
  - rewrite pow_exp, INR_IZR_INZ, positive_nat_Z, <- exp_Ropp. f_equal.
    change (IZR (Z.neg n)) with (IZR (- Z.pos n)). rewrite opp_IZR. ring.
Qed.

Lemma exp_zlin s : exp (zlin s) = zprod (zmap exp s).
Proof.
  induction s as [|[k x] s IH]; simpl; [apply exp_0|].
  now rewrite exp_plus, IH, <- zpow_exp.
Qed.

Lemma zmap_exp_ln s : List.Forall (fun c => 0 < snd c) s -> zmap exp (zmap ln s) = s.
Proof.
  induction 1 as [|[k x] s H _ IH]; simpl in *; [reflexivity|].
  rewrite exp_ln by auto. unfold zmap in *. now rewrite IH.
Qed.

Lemma ln_zprod s : List.Forall (fun c => 0 < snd c) s -> ln (zprod s) = zlin (zmap ln s).
Proof. intros H. rewrite <- (zmap_exp_ln s H) at 1. now rewrite <- exp_zlin, ln_exp. Qed.

Ltac zcompute :=
  cbv [zprod zlin zmap zpow map fst snd Pos.to_nat Pos.iter_op Nat.add pow].

(** A sign that the terms of a form show. *)
Ltac pos :=
  match goal with
  | H : 0 < ?x |- 0 < ?x => exact H
  | |- 0 < exp _ => apply exp_pos
  | |- 0 < IZR _ => lra
  | |- 0 < PI => exact PI_RGT_0
  | |- 0 < ?a + ?b =>
      first [ let H := fresh in assert (H : 0 < a) by pos; apply Rplus_lt_le_0_compat; [exact H|nng]
            | apply Rplus_le_lt_0_compat; [nng|pos] | lra ]
  | |- 0 < ?a - ?b => lra
  | |- 0 < ?a * ?b => apply Rmult_lt_0_compat; [pos|pos]
  | |- 0 < ?a / ?b => apply Rdiv_lt_0_compat; [pos|pos]
  | |- 0 < / ?a => apply Rinv_0_lt_compat; pos
  | |- 0 < ?a ^ _ => apply pow_lt; pos
  | |- 0 < ln ?a => apply ln_pos; apply Rminus_lt_0; first [ lra | ring_simplify; pos ]
  | |- _ => lra
  end
with nng :=
  match goal with
  | H : 0 < ?x |- 0 <= ?x => left; exact H
  | |- 0 <= IZR _ => lra
  | |- 0 <= exp _ => left; apply exp_pos
  | |- 0 <= ln _ => left; pos
  | |- 0 <= ?x ^ 2 => apply pow2_ge_0
  | |- 0 <= ?a + ?b => first [ apply Rplus_le_le_0_compat; [nng|nng] | lra ]
  | |- 0 <= ?a * ?b => apply Rmult_le_pos; [nng|nng]
  | |- 0 <= ?a / ?b => apply Rmult_le_pos; [nng|left; apply Rinv_0_lt_compat; pos]
  | |- 0 <= / ?a => left; apply Rinv_0_lt_compat; pos
  | |- 0 <= ?a ^ ?n => first [ apply pow_le; nng |
        let m := eval compute in (Nat.div2 n) in replace (a ^ n) with ((a ^ m) ^ 2) by ring; apply pow2_ge_0 ]
  | |- _ => lra
  end.

Ltac nonzero :=
  repeat split;
  match goal with
  | |- ?e <> 0 =>
    first [ apply Rgt_not_eq; unfold Rgt; pos
          | apply Rgt_not_eq; unfold Rgt; ring_simplify; pos
          | apply Rlt_not_eq; apply Ropp_lt_cancel; rewrite Ropp_0; ring_simplify; pos
          | apply Rgt_not_eq; unfold Rgt; nra | apply Rlt_not_eq; nra ]
  | |- _ => exact I
  end.

Ltac equal := first [ ring | field; nonzero | field_simplify_eq; [ring | nonzero] | lra ].

Ltac signed :=
  match goal with
  | |- 0 < _ => pos
  | |- _ > 0 => unfold Rgt; pos
  | |- 0 <= _ => nng
  | |- _ >= 0 => apply Rle_ge; nng
  | |- _ < 0 => apply Ropp_lt_cancel; rewrite Ropp_0, ?Ropp_involutive; pos
  | |- _ <= 0 => apply Ropp_le_cancel; rewrite Ropp_0, ?Ropp_involutive; nng
  end.

(** All factors of a product are positive. *)
Ltac factors := repeat (apply List.Forall_cons; [cbn [snd]; first [pos | ring_simplify; pos]|]); apply List.Forall_nil.

(** Two forms of one word: arguments of ln and exp that are the same number are made the same text. *)
Ltac same_arguments :=
  repeat match goal with
  | |- context [ln ?x] => match goal with |- context [ln ?y] =>
      tryif constr_eq x y then fail else (replace (ln x) with (ln y) by (f_equal; solve [equal])) end
  | |- context [exp ?x] => match goal with |- context [exp ?y] =>
      tryif constr_eq x y then fail else (replace (exp x) with (exp y) by (f_equal; solve [equal])) end
  end.
Ltac same_words := first [ reflexivity | solve [equal] | same_arguments; solve [equal] ].
