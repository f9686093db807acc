(** The table bound x mix: DPO, linear, MIO = NCA, BCE = BCO, UKL, LSIF, InfoNCA. *)
From MI Require Import preference.pairs_of_scores.

(** The chi-squared bound, 2 E_P(e^T - 1) - E_Q(e^{2T} - 1). *)
Definition chi2_bound {X} (l : list X) (p q T : X -> R) : R :=
  2 * E l p (fun x => exp (T x) - 1) - E l q (fun x => exp (2 * T x) - 1).

(** P is the point mass at the chosen response, Q_a gives it 1 - a and the rejected one a. *)
Definition with_mix (a : R) : bool -> R := mixed a chosen rejected.

(** (a) constant - bound, cell by cell; DIL's UKL as published is -ln pi_w + e^v with pi_w = ref e^u. *)
Theorem preference_table_a :
  (forall u v : R, let T := pair_of u v in
     ln 2 - dv two chosen (with_mix (1/2)) T = - ln (sg (u - v))
     /\ 0 - dv two chosen (with_mix 1) T = v - u
     /\ 2 * ln 2 - js two chosen (with_mix (1/2)) T
          = - ln (sg u) - 1/2 * ln (sg (- u)) - 1/2 * ln (sg (- v))
     /\ 2 * ln 2 - js two chosen (with_mix (1/2)) T = sp (- u) + 1/2 * sp u + 1/2 * sp v
     /\ 2 * ln 2 - js two chosen (with_mix 1) T = - ln (sg u) - ln (sg (- v))
     /\ 0 - nwj two chosen (with_mix 1) T = (- u + exp v) - 1
     /\ 0 - chi2_bound two chosen (with_mix 1) T = 2 * (- exp u + 1/2 * exp (2 * v)) + 1)
  /\ (forall u v delta : R,
     2 * ln 2 - js two chosen (with_mix 1) (fun b => pair_of u v b - delta)
       = - ln (sg (u - delta)) - ln (sg (- (v - delta))))
  /\ (forall (u : R) (vs : list R), vs <> [] ->
     let K := INR (S (length vs)) in
     ln K - (u - ln (mean (u :: vs) exp)) = - ln (exp u / (exp u + sum vs exp)))
  /\ (forall u v reference : R, 0 < reference ->
     - ln (reference * exp u) + exp v = (- u + exp v) - ln reference).
Proof.
  assert (JS : forall a T, js two chosen (with_mix a) T
    = 2 * ln 2 - sp (- T true) - ((1 - a) * sp (T true) + a * sp (T false))).
  { intros a T. unfold js. rewrite !E_two. unfold with_mix, mixed, chosen, rejected. ring. }
  split; [|split; [|split]].
  - intros u v T. pose proof (exp_pos u). pose proof (exp_pos v). pose proof (exp_pos (v - u)).
    split; [|split; [|split; [|split; [|split; [|split]]]]].
    + rewrite <- dpo_alt. unfold dpo, sp, dv, mgf. rewrite !E_two.
      unfold with_mix, mixed, chosen, rejected, T, pair_of.
      replace (((1 - 1/2) * 1 + 1/2 * 0) * exp u + ((1 - 1/2) * 0 + 1/2 * 1) * exp v)
        with (exp u * (1 + exp (v - u)) / 2).
      * rewrite ln_div, ln_mult, ln_exp; try lra. apply Rmult_lt_0_compat; lra.
      * unfold Rminus. rewrite exp_plus, exp_Ropp. field. lra.
    + unfold dv, mgf. rewrite !E_two. unfold with_mix, mixed, chosen, rejected, T, pair_of.
      replace (((1 - 1) * 1 + 1 * 0) * exp u + ((1 - 1) * 0 + 1 * 1) * exp v) with (exp v) by ring.
      rewrite ln_exp. ring.
    + rewrite JS, !ln_sg, !Ropp_involutive. unfold T, pair_of. field.
    + rewrite JS. unfold T, pair_of. field.
    + rewrite JS, !ln_sg, !Ropp_involutive. unfold T, pair_of. field.
    + unfold nwj, mgf. rewrite !E_two. unfold with_mix, mixed, chosen, rejected, T, pair_of. ring.
    + unfold chi2_bound. rewrite !E_two. unfold with_mix, mixed, chosen, rejected, T, pair_of. field.
  - intros u v delta. rewrite JS, !ln_sg, !Ropp_involutive. unfold pair_of. ring.
  - intros u vs H K.  assert (0 < K) by (apply lt_0_INR; lia). pose proof (exp_pos u). pose proof (sum_exp_pos vs H).
    unfold mean. cbn [sum length]. fold K. rewrite !ln_div, ln_exp by lra. ring.
  - intros u v reference H. rewrite ln_mult, ln_exp; auto using exp_pos. ring.
Qed.

(** (b) At T = 0 the cells are ln 2, 0, 2 ln 2, 2 ln 2, 0, 0 and ln K. *)
Theorem preference_table_b : let T := pair_of 0 0 in
  ln 2 - dv two chosen (with_mix (1/2)) T = ln 2
  /\ 0 - dv two chosen (with_mix 1) T = 0
  /\ 2 * ln 2 - js two chosen (with_mix (1/2)) T = 2 * ln 2
  /\ 2 * ln 2 - js two chosen (with_mix 1) T = 2 * ln 2
  /\ 0 - nwj two chosen (with_mix 1) T = 0
  /\ 0 - chi2_bound two chosen (with_mix 1) T = 0
  /\ (forall n, let K := INR (S n) in ln K - (0 - ln (mean (0 :: repeat 0 n) exp)) = ln K).
Proof.
  destruct preference_table_a as [H [_ [N _]]]. destruct (H 0 0) as [H1 [H2 [_ [H4 [H5 [H6 H7]]]]]].
  intros T. fold T in H1, H2, H4, H5, H6, H7.
  rewrite H1, H2, H4, H5, H6, H7, !ln_sg, !Ropp_involutive, !Rminus_0_r, !Ropp_0, sp_0, Rmult_0_r, exp_0.
  repeat split; try lra. intros n K.
  assert (M : mean (0 :: repeat 0 n) exp = 1).
  { unfold mean. cbn [sum length]. rewrite repeat_length, exp_0. fold K.
    assert (0 < K) by (apply lt_0_INR; lia).
    rewrite (sum_ext (repeat 0 n) exp (fun _ => 1)).
    - rewrite sum_const, repeat_length. unfold K in *. rewrite S_INR in *. field. lra.
    - intros x Hx. apply repeat_spec in Hx. now rewrite Hx, exp_0. }
  rewrite M, ln_1. ring.
Qed.
