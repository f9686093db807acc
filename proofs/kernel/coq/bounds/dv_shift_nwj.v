(** DV is the maximum of NWJ over shifts of the critic. *)
From MI Require Import lemmas.

(** With m = E_P T and z = E_Q e^T, laws of any kind. *)
Lemma shift_of_numbers (m z c : R) : 0 < z ->
  1 + (m + c) - exp c * z <= m - ln z /\ (1 + (m + c) - exp c * z = m - ln z <-> c = - ln z).
Proof.
  intros Hz. pose proof (exp_pos c). assert (P : 0 < exp c * z) by now apply Rmult_lt_0_compat.
  assert (L : ln (exp c * z) = c + ln z) by (rewrite ln_mult, ln_exp; auto).
  pose proof (shift_gap_nonneg _ P). split; [lra|]. split.
  - intros Eq. destruct (shift_gap_zero _ P) as [F _].
    assert (exp c * z = 1) by (apply F; lra). rewrite H1, ln_1 in L. lra.
  - intros ->. rewrite exp_Ropp, exp_ln; auto. field. lra.
Qed.

(** (a) NWJ(T + c) <= DV(T) for every c, with equality at c = -ln Z only; on finite sets, and in the numbers E_P T = m and
    E_Q e^T = z in (0, infinity) of laws of any kind. *)
Theorem dv_shift_nwj_a :
  (forall (X : Type) (l : list X) (p q T : X -> R) (c : R), law l p -> law l q ->
     nwj l p q (fun x => T x + c) <= dv l p q T
     /\ (nwj l p q (fun x => T x + c) = dv l p q T <-> c = - ln (mgf l q T)))
  /\ (forall m z c : R, 0 < z ->
     1 + (m + c) - exp c * z <= m - ln z /\ (1 + (m + c) - exp c * z = m - ln z <-> c = - ln z)).
Proof.
  split; [|exact shift_of_numbers].
  intros X l p q T c Lp Lq. unfold nwj, dv. rewrite E_shift, mgf_shift; auto.
  apply shift_of_numbers. now apply mgf_pos.
Qed.

(** (b) At c = 0 the gap is Z - 1 - ln Z >= 0, and 0 iff Z = 1; NWJ <= DV <= KL for P << Q. *)
Theorem dv_shift_nwj_b :
  (forall (X : Type) (l : list X) (p q T : X -> R), law l p -> law l q ->
     dv l p q T - nwj l p q T = mgf l q T - 1 - ln (mgf l q T)
     /\ 0 <= mgf l q T - 1 - ln (mgf l q T)
     /\ (mgf l q T - 1 - ln (mgf l q T) = 0 <-> mgf l q T = 1)
     /\ (ac l p q -> nwj l p q T <= dv l p q T <= kl l p q))
  /\ (forall m z : R, 0 < z ->
     (m - ln z) - (1 + m - z) = z - 1 - ln z /\ 0 <= z - 1 - ln z /\ (z - 1 - ln z = 0 <-> z = 1)).
Proof.
  split.
  - intros X l p q T Lp Lq. pose proof (mgf_pos l q T Lq) as HZ.
    pose proof (dv_nwj l p q T). pose proof (shift_gap_nonneg _ HZ).
    split; [auto|]. split; [auto|]. split; [now apply shift_gap_zero|].
    intros A. pose proof (dv_le_kl l p q T Lp Lq A). lra.
  - intros m z Hz. split; [ring|]. split; [now apply shift_gap_nonneg|now apply shift_gap_zero].
Qed.
