(** The alpha-relative ratio is at most 1/(1 - alpha), and so are its second moment and, in logarithms, its KL. *)
From MI Require Import lemmas.

(** g(t) = ln a + t - ln(1 - (1 - a) e^t), which turns ln r_a into ln r. *)
Definition back (a t : R) : R := ln a + t - ln (1 - (1 - a) * exp t).

(** dP/dQ_a. *)
Definition relative {X} (a : R) (p q : X -> R) (x : X) : R := p x / mixed a p q x.

Lemma below_ceiling a t : 0 < a < 1 -> (t < - ln (1 - a) <-> 0 < 1 - (1 - a) * exp t).
Proof.
  intros Ha. pose proof (exp_pos t). split; intros H1.
  - assert (exp t < / (1 - a)).
    { rewrite <- (exp_ln (/ (1 - a))) by (apply Rinv_0_lt_compat; lra).
      rewrite ln_Rinv by lra. now apply exp_increasing. }
    apply (Rmult_lt_compat_l (1 - a)) in H0; [|lra]. rewrite Rinv_r in H0; lra.
  - rewrite <- ln_Rinv by lra. rewrite <- (ln_exp t). apply ln_increasing; auto.
    apply (Rmult_lt_reg_l (1 - a)); [lra|]. rewrite Rinv_r; lra.
Qed.

Lemma mixed_pos {X} (l : list X) p q a x : law l p -> law l q -> 0 < a < 1 -> In x l ->
  0 < q x -> 0 < mixed a p q x.
Proof. intros [Np _] [Nq _] Ha Hx H. pose proof (Np x Hx). unfold mixed. nra. Qed.

Lemma relative_bounds {X} (l : list X) p q a x : law l p -> law l q -> ac l p q -> 0 < a < 1 -> In x l ->
  0 <= relative a p q x < / (1 - a).
Proof.
  intros Lp Lq A Ha Hx. pose proof (Rinv_0_lt_compat (1 - a) ltac:(lra)). unfold relative.
  destruct (ac_cases l p q x Lp Lq A Hx) as [->|[Hp Hq]]; [unfold Rdiv; rewrite Rmult_0_l; lra|].
  pose proof (mixed_pos l p q a x Lp Lq Ha Hx Hq) as M.
  split; [left; now apply Rdiv_pos|]. unfold Rdiv.
  apply (Rmult_lt_reg_r (mixed a p q x)); auto. rewrite Rmult_assoc, Rinv_l by lra.
  apply (Rmult_lt_reg_l (1 - a)); [lra|].
  replace ((1 - a) * (/ (1 - a) * mixed a p q x)) with (mixed a p q x) by (field; lra).
  unfold mixed. nra.
Qed.

(** (a) dP/dQ_a = r/((1 - a) r + a), which increases with r and is below 1/(1 - a); from it r. *)
Theorem relative_ratio_ceiling_a : forall (X : Type) (l : list X) (p q : X -> R) (a : R),
  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
  (forall x, In x l -> 0 < q x ->
     let r := p x / q x in
     relative a p q x = r / ((1 - a) * r + a)
     /\ relative a p q x < / (1 - a)
     /\ r = a * relative a p q x / (1 - (1 - a) * relative a p q x))
  /\ (forall r s, 0 <= r < s -> r / ((1 - a) * r + a) < s / ((1 - a) * s + a)).
Proof.
  intros X l p q a Lp Lq A Ha. split.
  - intros x Hx Hq r. pose proof (relative_bounds l p q a x Lp Lq A Ha Hx) as B.
    pose proof (mixed_pos l p q a x Lp Lq Ha Hx Hq) as M.
    split; [|split; [lra|]]; unfold relative, r.
    + unfold mixed in *. field. lra.
    + assert (Ev : a * q x = mixed a p q x - (1 - a) * p x) by (unfold mixed; ring).
      set (v := mixed a p q x) in *. clearbody v.
      replace (1 - (1 - a) * (p x / v)) with (a * q x / v) by (rewrite Ev; field; lra).
      field. lra.
  - intros r s H. assert (P1 : 0 < (1 - a) * r + a) by nra. assert (P2 : 0 < (1 - a) * s + a) by nra.
    apply (Rmult_lt_reg_r (((1 - a) * r + a) * ((1 - a) * s + a))); [now apply Rmult_lt_0_compat|].
    replace (r / ((1 - a) * r + a) * (((1 - a) * r + a) * ((1 - a) * s + a))) with (r * ((1 - a) * s + a)) by (field; lra).
    replace (s / ((1 - a) * s + a) * (((1 - a) * r + a) * ((1 - a) * s + a))) with (s * ((1 - a) * r + a)) by (field; lra).
    nra.
Qed.

Lemma ac_mixed {X} (l : list X) p q a : law l p -> law l q -> 0 < a < 1 -> ac l p (mixed a p q).
Proof.
  intros [Np _] [Nq _] Ha x Hx H. pose proof (Np x Hx). pose proof (Nq x Hx). unfold mixed in H. nra.
Qed.

(** (b) KL(P|Q_a) < -ln(1 - a), and at most a KL(P|Q). *)
Theorem relative_ratio_ceiling_b : forall (X : Type) (l : list X) (p q : X -> R) (a : R),
  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
  kl l p (mixed a p q) < - ln (1 - a) /\ kl l p (mixed a p q) <= a * kl l p q.
Proof.
  intros X l p q a Lp Lq A Ha. split.
  - rewrite <- (E_const l p (- ln (1 - a)) Lp). apply E_lt; auto. intros x Hx Hp.
    destruct (ac_cases l p q x Lp Lq A Hx) as [H|[_ Hq]]; [lra|].
    pose proof (mixed_pos l p q a x Lp Lq Ha Hx Hq). rewrite <- ln_Rinv by lra.
    apply ln_increasing; [now apply Rdiv_pos|]. now apply (relative_bounds l).
  - unfold kl. rewrite <- sum_scal. apply sum_le. intros x Hx.
    destruct (ac_cases l p q x Lp Lq A Hx) as [->|[Hp Hq]]; [lra|].
    pose proof (mixed_pos l p q a x Lp Lq Ha Hx Hq) as M. rewrite !ln_div; auto.
    (* ln is concave: ln m >= (1 - a) ln p + a ln q, by its tangent at m *)
    assert (L1 : ln (p x / mixed a p q x) <= p x / mixed a p q x - 1) by (apply ln_le_sub; now apply Rdiv_pos).
    assert (L2 : ln (q x / mixed a p q x) <= q x / mixed a p q x - 1) by (apply ln_le_sub; now apply Rdiv_pos).
    rewrite ln_div in L1, L2; auto.
    assert (S1 : (1 - a) * (p x / mixed a p q x) + a * (q x / mixed a p q x) = 1) by (unfold mixed in *; field; lra).
    assert (H : ln (p x) - ln (mixed a p q x) <= a * (ln (p x) - ln (q x))).
    { apply (Rmult_le_compat_l (1 - a)) in L1; [|lra]. apply (Rmult_le_compat_l a) in L2; lra. }
    apply (Rmult_le_compat_l (p x)) in H; lra.
Qed.

(** (c) E_{Q_a} r_a^2 = E_P r_a < 1/(1 - a), so the variance of r_a is below a/(1 - a). *)
Theorem relative_ratio_ceiling_c : forall (X : Type) (l : list X) (p q : X -> R) (a : R),
  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
  E l (mixed a p q) (fun x => relative a p q x ^ 2) = E l p (relative a p q)
  /\ E l p (relative a p q) < / (1 - a)
  /\ Var l (mixed a p q) (relative a p q) < a / (1 - a).
Proof.
  intros X l p q a Lp Lq A Ha.
  pose proof (law_mixed l p q a Lp Lq ltac:(lra)) as Lm.
  assert (M1 : E l (mixed a p q) (relative a p q) = 1).
  { unfold E. destruct Lp as [Np Sp]. rewrite <- Sp. apply sum_ext. intros x Hx. unfold relative.
    destruct (ac_cases l p q x (conj Np Sp) Lq A Hx) as [->|[Hp Hq]]; [unfold Rdiv; ring|].
    pose proof (mixed_pos l p q a x (conj Np Sp) Lq Ha Hx Hq). field. lra. }
  assert (E2 : E l (mixed a p q) (fun x => relative a p q x ^ 2) = E l p (relative a p q)).
  { apply sum_ext. intros x Hx. unfold relative.
    destruct (ac_cases l p q x Lp Lq A Hx) as [->|[Hp Hq]]; [unfold Rdiv; ring|].
    pose proof (mixed_pos l p q a x Lp Lq Ha Hx Hq). field. lra. }
  assert (B : E l p (relative a p q) < / (1 - a)).
  { rewrite <- (E_const l p (/ (1 - a)) Lp). apply E_lt; auto. intros x Hx _.
    now apply (relative_bounds l). }
  split; [auto|]. split; [auto|].
  unfold Var. rewrite M1.
  rewrite (E_ext l _ _ (fun x => relative a p q x ^ 2 - (2 * relative a p q x - 1))) by (intros; ring).
  rewrite E_minus, E2, E_minus, E_scal, M1, E_const by auto.
  replace (a / (1 - a)) with (/ (1 - a) - 1) by (field; lra). lra.
Qed.

Lemma back_tangent a s t : 0 < a < 1 -> s < - ln (1 - a) -> t < - ln (1 - a) ->
  back a s + / (1 - (1 - a) * exp s) * (t - s) <= back a t.
Proof.
  intros Ha Hs Ht. apply below_ceiling in Hs; auto. apply below_ceiling in Ht; auto. unfold back.
  set (w := 1 - (1 - a) * exp s) in *.
  assert (X1 : 1 - (1 - a) * exp t = w + (1 - w) * (1 - exp (t - s))).
  { unfold w. replace t with (s + (t - s)) at 1 by ring. rewrite exp_plus. ring. }
  assert (L : ln ((1 - (1 - a) * exp t) / w) <= (1 - (1 - a) * exp t) / w - 1).
  { apply ln_le_sub. now apply Rdiv_pos. }
  rewrite ln_div in L; auto. rewrite X1 in L at 2.
  replace ((w + (1 - w) * (1 - exp (t - s))) / w - 1) with ((/ w - 1) * (1 - exp (t - s))) in L by (field; lra).
  pose proof (exp_ineq1_le (t - s)). pose proof (exp_pos s).
  assert (0 <= / w - 1).
  { assert (w < 1) by (unfold w; nra). assert (1 < / w); [|lra].
    rewrite <- Rinv_1. apply Rinv_lt_contravar; lra. }
  nra.
Qed.

(** (d) g increases and is convex below -ln(1 - a), turns ln r_a into ln r, and turns KL(P|Q_a), or any lower bound of it,
    into a lower bound of KL(P|Q). *)
Theorem relative_ratio_ceiling_d : forall (X : Type) (l : list X) (p q : X -> R) (a : R),
  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
  (forall s t, s < t -> t < - ln (1 - a) -> back a s < back a t)
  /\ (forall s t c, s < - ln (1 - a) -> t < - ln (1 - a) -> 0 <= c <= 1 ->
        back a ((1 - c) * s + c * t) <= (1 - c) * back a s + c * back a t)
  /\ (forall x, In x l -> 0 < p x -> back a (ln (relative a p q x)) = ln (p x / q x))
  /\ back a (kl l p (mixed a p q)) <= kl l p q
  /\ (forall b, b <= kl l p (mixed a p q) -> back a b <= kl l p q).
Proof.
  intros X l p q a Lp Lq A Ha.
  assert (I : forall s t, s < t -> t < - ln (1 - a) -> back a s < back a t).
  { intros s t Hst Ht. pose proof (back_tangent a s t Ha ltac:(lra) Ht).
    assert (Hs : s < - ln (1 - a)) by lra. apply below_ceiling in Hs; auto.
    pose proof (Rinv_0_lt_compat _ Hs). nra. }
  assert (R1 : forall x, In x l -> 0 < p x -> back a (ln (relative a p q x)) = ln (p x / q x)).
  { intros x Hx Hp. destruct (ac_cases l p q x Lp Lq A Hx) as [H|[_ Hq]]; [lra|].
    pose proof (mixed_pos l p q a x Lp Lq Ha Hx Hq) as M. unfold back, relative.
    rewrite exp_ln by now apply Rdiv_pos.
    replace (1 - (1 - a) * (p x / mixed a p q x)) with (a * q x / mixed a p q x)
      by (unfold mixed in *; field; lra).
    rewrite !ln_div, ln_mult; auto; try lra. apply Rmult_lt_0_compat; lra. }
  destruct (relative_ratio_ceiling_b X l p q a Lp Lq A Ha) as [Kc _].
  assert (G : back a (kl l p (mixed a p q)) <= kl l p q).
  { replace (kl l p q) with (E l p (fun x => back a (ln (relative a p q x)))).
    - apply (jensen l p (fun x => ln (relative a p q x)) (back a)
        (/ (1 - (1 - a) * exp (kl l p (mixed a p q))))); auto.
      intros x Hx Hp. apply back_tangent; auto. rewrite <- ln_Rinv by lra.
      destruct (ac_cases l p q x Lp Lq A Hx) as [H|[_ Hq]]; [lra|].
      apply ln_increasing; [|now apply (relative_bounds l)].
      apply Rdiv_pos; auto. now apply (mixed_pos l).
    - apply sum_ext. intros x Hx. destruct Lp as [Np Sp]. destruct (Np x Hx) as [Hp|Hp]; [now rewrite R1|].
      rewrite <- Hp. ring. }
  split; [exact I|]. split; [|split; [exact R1|split; [exact G|]]].
  - intros s t c Hs Ht Hc. set (m := (1 - c) * s + c * t).
    assert (Hm : m < - ln (1 - a)).
    { unfold m. destruct (Req_dec c 0) as [->|N]; [lra|].
      assert (0 < c * (- ln (1 - a) - t)) by (apply Rmult_lt_0_compat; lra).
      assert (0 <= (1 - c) * (- ln (1 - a) - s)) by (apply Rmult_le_pos; lra). lra. }
    pose proof (back_tangent a m s Ha Hm Hs) as T1. pose proof (back_tangent a m t Ha Hm Ht) as T2.
    set (d := / (1 - (1 - a) * exp m)) in *.
    assert ((1 - c) * (d * (s - m)) + c * (d * (t - m)) = 0) by (unfold m; ring). nra.
  - intros b [Hb|Hb]; [|now rewrite Hb]. specialize (I b _ Hb Kc). lra.
Qed.
