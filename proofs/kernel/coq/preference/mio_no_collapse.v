(** A mean loss of at most 2 ln 2 keeps the mean chosen reward in [u-, u+]. *)
From MI Require Import preference.pairs_of_scores numbers.

Lemma own_continuous a : continuity (own a).
Proof.
  intros u. apply derivable_continuous_pt. exists ((2 - a) * sg u - 1). apply is_derive_Reals. apply derive_own.
Qed.

Lemma own_at_0 a : own a 0 = (2 - a) * ln 2.
Proof. unfold own. rewrite Ropp_0, sp_0. ring. Qed.

(** f_a(-ln 3) = ln 4 + (1 - a) ln(4/3). *)
Lemma own_at_ln3 a : own a (- ln 3) = 2 * ln 2 + (1 - a) * ln (4/3).
Proof.
  unfold own, sp. rewrite Ropp_involutive, exp_Ropp, exp_ln by lra.
  replace (1 + 3) with (2 * 2) by ring. rewrite ln_mult by lra.
  replace (1 + / 3) with (4/3) by field. ring.
Qed.

Lemma left_root a : 0 < a < 1 -> exists u, - ln 3 < u < 0 /\ own a u = 2 * ln 2.
Proof.
  intros Ha. pose proof ln_2_pos. pose proof (ln_pos 3 ltac:(lra)). pose proof (ln_pos (4/3) ltac:(lra)).
  set (g := fun u => 2 * ln 2 - own a u).
  assert (C : continuity g).
  { apply continuity_minus; [apply continuity_const; intros ? ?; reflexivity|apply own_continuous]. }
  assert (G0 : g (- ln 3) < 0) by (unfold g; rewrite own_at_ln3; nra).
  assert (G1 : 0 < g 0) by (unfold g; rewrite own_at_0; nra).
  destruct (IVT g (- ln 3) 0 C ltac:(lra) G0 G1) as [u [Hu Eq]].
  exists u. split; [|unfold g in Eq; lra]. split.
  - destruct (proj1 Hu) as [|E0]; auto. rewrite E0 in G0. lra.
  - destruct (proj2 Hu) as [|E0]; auto. rewrite E0 in Eq. lra.
Qed.

Lemma right_root a : 0 < a < 1 -> exists u, 0 < u < 2 * ln 2 / (1 - a) /\ own a u = 2 * ln 2.
Proof.
  intros Ha. pose proof ln_2_pos. set (b := 2 * ln 2 / (1 - a)).
  assert (Pb : 0 < b) by (apply Rdiv_pos; lra).
  set (g := fun u => own a u - 2 * ln 2).
  assert (C : continuity g).
  { apply continuity_minus; [apply own_continuous|apply continuity_const; intros ? ?; reflexivity]. }
  assert (G0 : g 0 < 0) by (unfold g; rewrite own_at_0; nra).
  assert (G1 : 0 < g b).
  { unfold g, own. pose proof (sp_pos (- b)). pose proof (sp_gt_id b).
    assert ((1 - a) * b = 2 * ln 2) by (unfold b; field; lra). nra. }
  destruct (IVT g 0 b C ltac:(lra) G0 G1) as [u [Hu Eq]].
  exists u. split; [|unfold g in Eq; lra]. split.
  - destruct (proj1 Hu) as [|E0]; auto. rewrite <- E0 in Eq. lra.
  - destruct (proj2 Hu) as [|E0]; auto. rewrite E0 in Eq. lra.
Qed.

(** f_a is below 2 ln 2 between the two roots only. *)
Lemma between_roots a lo hi u : 0 < a < 1 -> lo < 0 < hi -> own a lo = 2 * ln 2 -> own a hi = 2 * ln 2 ->
  own a u < 2 * ln 2 -> lo < u < hi.
Proof.
  intros Ha H Hlo Hhi Hu.
  assert (A0 : 0 < - ln (1 - a)) by (pose proof (ln_neg (1 - a) ltac:(lra)); lra).
  split.
  - destruct (Rlt_le_dec lo u) as [|C]; auto. exfalso. destruct C as [C|C]; [|subst; lra].
    pose proof (own_falls a u lo Ha C ltac:(lra)). lra.
  - destruct (Rlt_le_dec u hi) as [|C]; auto. exfalso. destruct C as [C|C]; [|subst; lra].
    assert (- ln (1 - a) <= hi).
    { destruct (Rle_lt_dec (- ln (1 - a)) hi) as [|D]; auto. exfalso.
      pose proof (own_falls a 0 hi Ha ltac:(lra) ltac:(lra)). rewrite own_at_0 in H0. pose proof ln_2_pos. nra. }
    pose proof (own_rises a hi u Ha C H0). lra.
Qed.

(** (a) For a in (0, 1) f_a = 2 ln 2 has one root on each side of 0 and no other; a mean loss of at most 2 ln 2, its value at
    u = v = 0, over any finite law of pairs keeps the mean chosen reward strictly between the two. *)
Theorem mio_no_collapse_a : forall a : R, 0 < a < 1 ->
  exists lo hi, lo < 0 < hi /\ own a lo = 2 * ln 2 /\ own a hi = 2 * ln 2
  /\ (forall u, own a u = 2 * ln 2 -> u = lo \/ u = hi)
  /\ js_loss a 0 0 = 2 * ln 2
  /\ forall (X : Type) (l : list X) (p u v : X -> R), law l p ->
       E l p (fun i => js_loss a (u i) (v i)) <= 2 * ln 2 -> lo < E l p u < hi.
Proof.
  intros a Ha. destruct (left_root a Ha) as [lo [Hlo Elo]]. destruct (right_root a Ha) as [hi [Hhi Ehi]].
  exists lo, hi. split; [lra|]. split; [auto|]. split; [auto|]. split; [|split; [apply js_loss_0|]].
  - intros u Hu. destruct (Req_dec u lo) as [|N1]; auto. destruct (Req_dec u hi) as [|N2]; auto. exfalso.
    assert (A0 : 0 < - ln (1 - a)) by (pose proof (ln_neg (1 - a) ltac:(lra)); lra).
    destruct (Rle_lt_dec u (- ln (1 - a))) as [C|C].
    + destruct (Rtotal_order u lo) as [D|[D|D]]; [|contradiction|].
      * pose proof (own_falls a u lo Ha D ltac:(lra)). lra.
      * pose proof (own_falls a lo u Ha D C). lra.
    + assert (B : - ln (1 - a) <= hi).
      { destruct (Rle_lt_dec (- ln (1 - a)) hi) as [|D]; auto. exfalso.
        pose proof (own_falls a 0 hi Ha ltac:(lra) ltac:(lra)). rewrite own_at_0 in H. pose proof ln_2_pos. nra. }
      destruct (Rtotal_order u hi) as [D|[D|D]]; [|contradiction|].
      * pose proof (own_rises a u hi Ha D ltac:(lra)). lra.
      * pose proof (own_rises a hi u Ha D B). lra.
  - intros X l p u v Lp H. apply (between_roots a); auto; try lra.
    apply Rle_lt_trans with (E l p (fun i => own a (u i))).
    + apply (jensen l p u (own a) ((2 - a) * sg (E l p u) - 1)); auto.
      intros i _ _. apply own_tangent. lra.
    + apply Rlt_le_trans with (2 := H). apply E_lt; auto. intros i _ _. rewrite js_loss_own.
      pose proof (sp_pos (v i)). assert (0 < a * sp (v i)) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

(** (b) -ln 3 < u- < 0 < u+ < 2 ln 2/(1 - a); at a = 1 the interval is (-ln 3, infinity). *)
Theorem mio_no_collapse_b :
  (forall a lo hi : R, 0 < a < 1 -> lo < 0 < hi -> own a lo = 2 * ln 2 -> own a hi = 2 * ln 2 ->
     - ln 3 < lo /\ hi < 2 * ln 2 / (1 - a))
  /\ own 1 (- ln 3) = 2 * ln 2
  /\ (forall u, own 1 u < 2 * ln 2 <-> - ln 3 < u)
  /\ (forall (X : Type) (l : list X) (p u v : X -> R), law l p ->
       E l p (fun i => js_loss 1 (u i) (v i)) <= 2 * ln 2 -> - ln 3 < E l p u).
Proof.
  assert (One : own 1 (- ln 3) = 2 * ln 2) by (rewrite own_at_ln3; ring).
  assert (Mono : forall u v, u < v -> own 1 v < own 1 u).
  { intros u v H. unfold own. pose proof (sp_increasing (- v) (- u) ltac:(lra)). lra. }
  assert (Iff : forall u, own 1 u < 2 * ln 2 <-> - ln 3 < u).
  { intros u. rewrite <- One. split; intros H; [|now apply Mono].
    destruct (Rlt_le_dec (- ln 3) u) as [|[C|C]]; auto; exfalso; [pose proof (Mono _ _ C)|subst]; lra. }
  split; [|split; [exact One|split; [exact Iff|]]].
  - intros a lo hi Ha H Elo Ehi. destruct (left_root a Ha) as [lo' [H1 E1]]. destruct (right_root a Ha) as [hi' [H2 E2]].
    destruct (mio_no_collapse_a a Ha) as [x [y [Hxy [_ [_ [U _]]]]]].
    destruct (U lo Elo) as [->| ->]; [|lra]. destruct (U hi Ehi) as [->| ->]; [lra|].
    destruct (U lo' E1) as [->| ->]; [|lra]. destruct (U hi' E2) as [->| ->]; lra.
  - intros X l p u v Lp H. apply Iff.
    apply Rle_lt_trans with (E l p (fun i => own 1 (u i))).
    + apply (jensen l p u (own 1) ((2 - 1) * sg (E l p u) - 1)); auto.
      intros i _ _. apply own_tangent. lra.
    + apply Rlt_le_trans with (2 := H). apply E_lt; auto. intros i _ _. rewrite js_loss_own.
      pose proof (sp_pos (v i)). lra.
Qed.

(** Where f_a crosses 2 ln 2: a root lies between two points at which it is on different sides. *)
Lemma bracket_left a lo x y : 0 < a < 1 -> lo < 0 -> own a lo = 2 * ln 2 ->
  y < 0 -> 2 * ln 2 < own a x -> own a y < 2 * ln 2 -> x < 0 -> x < lo < y.
Proof.
  intros Ha H E0 Hy Hx Hy' Hx0. pose proof (ln_neg (1 - a) ltac:(lra)). split.
  - destruct (Rlt_le_dec x lo) as [|[C|C]]; auto; exfalso; [|subst; lra].
    pose proof (own_falls a lo x Ha C ltac:(lra)). lra.
  - destruct (Rlt_le_dec lo y) as [|[C|C]]; auto; exfalso; [|subst; lra].
    pose proof (own_falls a y lo Ha C ltac:(lra)). lra.
Qed.

Lemma bracket_right a hi x y : 0 < a < 1 -> 0 < hi -> own a hi = 2 * ln 2 ->
  - ln (1 - a) < x -> own a x < 2 * ln 2 -> 2 * ln 2 < own a y -> x < y -> x < hi < y.
Proof.
  intros Ha H E0 Hx Hx' Hy Hxy.
  assert (B : - ln (1 - a) <= hi).
  { destruct (Rle_lt_dec (- ln (1 - a)) hi) as [|D]; auto. exfalso.
    pose proof (own_falls a 0 hi Ha ltac:(lra) ltac:(lra)). rewrite own_at_0 in H0. pose proof ln_2_pos. nra. }
  split.
  - destruct (Rlt_le_dec x hi) as [|[C|C]]; auto; exfalso; [|subst; lra].
    pose proof (own_rises a hi x Ha C B). lra.
  - destruct (Rlt_le_dec hi y) as [|[C|C]]; auto; exfalso; [|subst; lra].
    pose proof (own_rises a y hi Ha C ltac:(lra)). lra.
Qed.

(** (c) The ends to the digits shown, each within half a unit of the last one. *)
Theorem mio_no_collapse_c :
  let ends := fun a lo hi => lo < 0 < hi /\ own a lo = 2 * ln 2 /\ own a hi = 2 * ln 2 in
  (forall lo hi, ends (1/2) lo hi -> Rabs (lo - -854526701159521/10^15) < 5/10^16
                                     /\ Rabs (hi - 254621524878583/10^14) < 5/10^15)
  /\ (forall lo hi, ends (1/4) lo hi -> Rabs (lo - -652991/10^6) < 5/10^7 /\ Rabs (hi - 1271780/10^6) < 5/10^7)
  /\ (forall lo hi, ends (3/4) lo hi -> Rabs (lo - -992030/10^6) < 5/10^7 /\ Rabs (hi - 5525294/10^6) < 5/10^7)
  /\ (forall lo hi, ends (9/10) lo hi -> Rabs (lo - -1058704/10^6) < 5/10^7 /\ Rabs (hi - 13862933/10^6) < 5/10^7).
Proof.
  intros ends.
  assert (Go : forall a l0 h0 dl dh, 0 < a < 1 -> 0 < dl -> 0 < dh -> l0 + dl < 0 -> - ln (1 - a) < h0 - dh ->
     2 * ln 2 < own a (l0 - dl) -> own a (l0 + dl) < 2 * ln 2 ->
     own a (h0 - dh) < 2 * ln 2 -> 2 * ln 2 < own a (h0 + dh) ->
     forall lo hi, ends a lo hi -> Rabs (lo - l0) < dl /\ Rabs (hi - h0) < dh).
  { intros a l0 h0 dl dh Ha Hdl Hdh Hl Hh L1 L2 R1 R2 lo hi [Hs [E1 E2]].
    pose proof (bracket_left a lo (l0 - dl) (l0 + dl) Ha ltac:(lra) E1 Hl L1 L2 ltac:(lra)).
    pose proof (bracket_right a hi (h0 - dh) (h0 + dh) Ha ltac:(lra) E2 Hh R1 R2 ltac:(lra)).
    split; apply Rabs_def1; lra. }
  unfold own, sp in Go.
  split; [|split; [|split]]; apply Go; try lra; interval with (i_prec 80).
Qed.

(** (d) DPO has no such interval: at its starting loss, ln 2, the chosen reward may be any number. *)
Theorem mio_no_collapse_d : dpo 0 0 = ln 2 /\ forall u, exists v, dpo u v = ln 2.
Proof.
  assert (H : forall u, dpo u u = ln 2) by (intros u; unfold dpo; rewrite Rminus_eq_0; apply sp_0).
  split; [apply H|]. intros u. exists u. apply H.
Qed.
