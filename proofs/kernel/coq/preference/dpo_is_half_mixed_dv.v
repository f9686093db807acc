(** DPO is DV on half-mixed pairs: ln 2 - L_DPO. *)
From MI Require Import preference.pairs_of_scores.

(** (a) DV with critic T = beta z, the positive z_w, and the negatives z_w and z_l of weight 1/2 each, is
    ln 2 + ln sigma(beta (z_w - z_l)) = ln 2 - L_DPO < ln 2. *)
Theorem dpo_is_half_mixed_dv_a : forall beta zw zl : R, 0 < beta ->
  let T := pair_of (beta * zw) (beta * zl) in
  dv two chosen (mixed (1/2) chosen rejected) T = ln 2 + ln (sg (beta * (zw - zl)))
  /\ dv two chosen (mixed (1/2) chosen rejected) T = ln 2 - dpo (beta * zw) (beta * zl)
  /\ dv two chosen (mixed (1/2) chosen rejected) T < ln 2.
Proof.
  intros beta zw zl Hb T.
  assert (D : dv two chosen (mixed (1/2) chosen rejected) T = ln 2 - dpo (beta * zw) (beta * zl)).
  { unfold dv, mgf. rewrite !E_two. unfold T, mixed, chosen, rejected, pair_of, dpo, sp.
    pose proof (exp_pos (beta * zw)). pose proof (exp_pos (beta * zl)).
    replace (((1 - 1/2) * 1 + 1/2 * 0) * exp (beta * zw) + ((1 - 1/2) * 0 + 1/2 * 1) * exp (beta * zl))
      with (exp (beta * zw) * (1 + exp (beta * zl - beta * zw)) / 2).
    - pose proof (exp_pos (beta * zl - beta * zw)).
      rewrite ln_div, ln_mult, ln_exp; try lra. apply Rmult_lt_0_compat; lra.
    - unfold Rminus. rewrite exp_plus, exp_Ropp. field. lra. }
  split; [|split; [exact D|]]; rewrite D.
  - rewrite dpo_alt, <- Rmult_minus_distr_l. ring.
  - unfold dpo. pose proof (sp_pos (beta * zl - beta * zw)). lra.
Qed.

(** (b) With K - 1 >= 1 rejected responses, each candidate of weight 1/K, it is ln K - L for the Plackett-Luce loss L, one row
    of InfoNCE. *)
Theorem dpo_is_half_mixed_dv_b : forall (u : R) (vs : list R), vs <> [] ->
  let K := INR (S (length vs)) in
  dv (candidates u vs) on_chosen (fun _ => / K) snd = ln K - plackett u vs
  /\ ln K - plackett u vs = u - ln (mean (u :: vs) exp).
Proof.
  intros u vs H K. assert (0 < K) by (apply lt_0_INR; lia).
  pose proof (exp_pos u). pose proof (sum_exp_pos vs H).
  assert (R : ln K - plackett u vs = u - ln (mean (u :: vs) exp)).
  { rewrite plackett_alt. unfold mean. cbn [sum length]. fold K. rewrite ln_div by lra. ring. }
  split; [|exact R]. rewrite R. unfold dv, mgf. rewrite E_on_chosen. simpl.
  f_equal. f_equal. f_equal. unfold E, candidates, mean. cbn [sum length]. fold K. rewrite sum_map. simpl.
  rewrite sum_scal. field. lra.
Qed.

(** (c) At mix a in (0, 1), weights 1 - a and a, DV + ln(1 - a) is DPO with a margin offset; at a = 1 DV is linear. *)
Theorem dpo_is_half_mixed_dv_c : forall beta zw zl : R, 0 < beta ->
  let T := pair_of (beta * zw) (beta * zl) in
  (forall a, 0 < a < 1 ->
     dv two chosen (mixed a chosen rejected) T + ln (1 - a)
       = - sp (beta * (zl - zw) + ln (a / (1 - a))))
  /\ dv two chosen (mixed 1 chosen rejected) T = beta * (zw - zl).
Proof.
  intros beta zw zl Hb T. pose proof (exp_pos (beta * zw)). pose proof (exp_pos (beta * zl)). split.
  - intros a Ha. unfold dv, mgf. rewrite !E_two. unfold T, mixed, chosen, rejected, pair_of, sp.
    rewrite exp_plus, exp_ln by (apply Rdiv_pos; lra).
    replace (((1 - a) * 1 + a * 0) * exp (beta * zw) + ((1 - a) * 0 + a * 1) * exp (beta * zl))
      with ((1 - a) * (exp (beta * zw) * (1 + exp (beta * (zl - zw)) * (a / (1 - a))))).
    + pose proof (exp_pos (beta * (zl - zw))).
      assert (0 < a / (1 - a)) by (apply Rdiv_pos; lra).
      assert (0 < exp (beta * (zl - zw)) * (a / (1 - a))) by now apply Rmult_lt_0_compat.
      rewrite !ln_mult, ln_exp; try lra. apply Rmult_lt_0_compat; lra.
    + replace (beta * (zl - zw)) with (beta * zl + - (beta * zw)) by ring. rewrite exp_plus, exp_Ropp. field. lra.
  - unfold dv, mgf. rewrite !E_two. unfold T, mixed, chosen, rejected, pair_of.
    replace (((1 - 1) * 1 + 1 * 0) * exp (beta * zw) + ((1 - 1) * 0 + 1 * 1) * exp (beta * zl))
      with (exp (beta * zl)) by ring.
    rewrite ln_exp. ring.
Qed.
