(** Anchored DV, V_b: between DV and NWJ, and for b > 0 tight at ln dP/dQ alone. *)
From MI Require Import lemmas.
From MI Require Import numbers.

Definition anchored {X} (b : R) (l : list X) (p q T : X -> R) : R :=
  E l p T - (1 + b) * ln ((b + mgf l q T) / (1 + b)).

(** What V_b takes away, as a function of x = 1 + b >= 1 and c = Z - 1 > -1: it rises with x, strictly unless c = 0. *)
Lemma penalty_rises x y c : 0 < x < y -> 0 < x + c ->
  x * ln ((x + c) / x) <= y * ln ((y + c) / y)
  /\ (c <> 0 -> x * ln ((x + c) / x) < y * ln ((y + c) / y)).
Proof.
  intros H Hc.
  (* ln is concave: ln((y + c)/y) >= (x/y) ln((x + c)/x) + (1 - x/y) ln 1, by its tangent at (y + c)/y *)
  set (m := (y + c) / y). assert (Pm : 0 < m) by (apply Rdiv_pos; lra).
  assert (P1 : 0 < (x + c) / x) by (apply Rdiv_pos; lra).
  assert (S1 : x * ((x + c) / x / m) + (y - x) * (/ m) = y) by (unfold m; field; lra).
  assert (L1 : ln ((x + c) / x / m) <= (x + c) / x / m - 1) by (apply ln_le_sub; now apply Rdiv_pos).
  assert (L2 : ln (/ m) <= / m - 1) by (apply ln_le_sub; now apply Rinv_0_lt_compat).
  rewrite ln_div in L1; auto. rewrite ln_Rinv in L2; auto.
  split.
  - nra.
  - intros N. assert (L3 : ln (/ m) < / m - 1).
    { apply ln_lt_sub; [now apply Rinv_0_lt_compat|]. intros C. apply N.
      assert (m = 1) by (rewrite <- (Rinv_inv m), C; apply Rinv_1).
      unfold m in H0. assert (y + c = y); [|lra].
      apply (f_equal (fun v => v * y)) in H0. field_simplify in H0; lra. }
    rewrite ln_Rinv in L3; auto. nra.
Qed.

Lemma anchored_at {X} b (l : list X) p q T :
  anchored b l p q T = E l p T - (1 + b) * ln (((1 + b) + (mgf l q T - 1)) / (1 + b)).
Proof.
  unfold anchored. replace (1 + b + (mgf l q T - 1)) with (b + mgf l q T) by ring. reflexivity.
Qed.

Lemma anchored_nwj {X} b (l : list X) p q T : law l q -> 0 <= b ->
  nwj l p q T <= anchored b l p q T
  /\ (anchored b l p q T = nwj l p q T -> mgf l q T = 1).
Proof.
  intros Lq Hb. pose proof (mgf_pos l q T Lq) as HZ. unfold nwj, anchored.
  set (z := mgf l q T) in *. assert (P : 0 < (b + z) / (1 + b)) by (apply Rdiv_pos; lra).
  assert (S1 : (1 + b) * ((b + z) / (1 + b) - 1) = z - 1) by (field; lra).
  split.
  - pose proof (ln_le_sub _ P). nra.
  - intros Eq. destruct (Req_dec ((b + z) / (1 + b)) 1) as [C|C].
    + rewrite C in S1. lra.
    + pose proof (ln_lt_sub _ P C). exfalso. nra.
Qed.

(** (a) V_b falls as b rises, strictly unless Z = 1, from DV at b = 0, and stays above NWJ; so it is a lower bound of KL. *)
Theorem infonce_anchor_a : forall (X : Type) (l : list X) (p q T : X -> R),
  law l p -> law l q ->
  anchored 0 l p q T = dv l p q T
  /\ (forall b c, 0 <= b < c -> anchored c l p q T <= anchored b l p q T
        /\ (mgf l q T <> 1 -> anchored c l p q T < anchored b l p q T))
  /\ (forall b, 0 <= b -> nwj l p q T <= anchored b l p q T <= dv l p q T)
  /\ (forall b, 0 <= b -> ac l p q -> anchored b l p q T <= kl l p q).
Proof.
  intros X l p q T Lp Lq. pose proof (mgf_pos l q T Lq) as HZ.
  assert (A0 : anchored 0 l p q T = dv l p q T).
  { unfold anchored, dv. rewrite Rplus_0_r, Rplus_0_l, Rdiv_1, Rmult_1_l. reflexivity. }
  assert (F : forall b c, 0 <= b < c -> anchored c l p q T <= anchored b l p q T
        /\ (mgf l q T <> 1 -> anchored c l p q T < anchored b l p q T)).
  { intros b c H. rewrite !anchored_at.
    destruct (penalty_rises (1 + b) (1 + c) (mgf l q T - 1) ltac:(lra) ltac:(lra)) as [P1 P2].
    split; [lra|]. intros N. specialize (P2 ltac:(lra)). lra. }
  assert (B : forall b, 0 <= b -> nwj l p q T <= anchored b l p q T <= dv l p q T).
  { intros b Hb. split; [now apply anchored_nwj|]. rewrite <- A0.
    destruct Hb as [Hb|<-]; [apply F; lra|lra]. }
  split; [auto|]. split; [auto|]. split; [auto|].
  intros b Hb A. pose proof (B b Hb). pose proof (dv_le_kl l p q T Lp Lq A). lra.
Qed.

(** (b) For b > 0 it equals DV iff Z = 1, and KL iff T = ln dP/dQ on the support of Q. *)
Theorem infonce_anchor_b : forall (X : Type) (l : list X) (p q T : X -> R) (b : R),
  law l p -> law l q -> 0 < b ->
  (anchored b l p q T = dv l p q T <-> mgf l q T = 1)
  /\ (ac l p q -> (anchored b l p q T = kl l p q <->
        forall x, In x l -> 0 < q x -> 0 < p x /\ T x = ln (p x / q x))).
Proof.
  intros X l p q T b Lp Lq Hb.
  destruct (infonce_anchor_a X l p q T Lp Lq) as [A0 [F [B _]]].
  assert (I : anchored b l p q T = dv l p q T <-> mgf l q T = 1).
  { split; intros H.
    - destruct (Req_dec (mgf l q T) 1) as [|N]; auto. destruct (F 0 b ltac:(lra)) as [_ S].
      specialize (S N). rewrite A0 in S. lra.
    - unfold anchored, dv. rewrite H, ln_1. replace ((b + 1) / (1 + b)) with 1 by (field; lra).
      rewrite ln_1. ring. }
  split; [exact I|]. intros A.
  pose proof (dv_gap l p q T Lp Lq A) as D. pose proof (dv_le_kl l p q T Lp Lq A).
  pose proof (B b ltac:(lra)) as Bb.
  pose proof (kl_zero l p (tilt l q T) Lp (law_tilt l q T Lq) (ac_tilt l p q T Lq A)) as K.
  split.
  - intros Eq. assert (Ed : anchored b l p q T = dv l p q T) by lra. apply I in Ed.
    assert (S : same l p (tilt l q T)) by (apply K; lra).
    intros x Hx Hq. rewrite (S x Hx). unfold tilt. rewrite Ed. pose proof (exp_pos (T x)).
    rewrite Rdiv_1. split; [now apply Rmult_lt_0_compat|].
    replace (exp (T x) * q x / q x) with (exp (T x)) by (field; lra). now rewrite ln_exp.
  - intros H0.
    assert (M : mgf l q T = 1).
    { destruct Lp as [Np Sp]. rewrite <- Sp. apply sum_ext. intros x Hx. destruct Lq as [Nq _].
      destruct (Nq x Hx) as [Hq|Hq].
      - destruct (H0 x Hx Hq) as [Hp ->]. rewrite exp_ln by now apply Rdiv_pos. field. lra.
      - rewrite <- Hq, (A x Hx); auto; lra. }
    rewrite (proj2 I M). unfold dv. rewrite M, ln_1, Rminus_0_r. apply sum_ext. intros x Hx.
    destruct (ac_cases l p q x Lp Lq A Hx) as [->|[_ Hq]]; [ring|].
    now destruct (H0 x Hx Hq) as [_ ->].
Qed.

(** (c) T = (1, 0, -1), P = (0.7, 0.2, 0.1), Q = (0.2, 0.3, 0.5): the digits at b = 0.5 and b = 1. *)
Theorem infonce_anchor_c :
  let l := [1; 0; -1] in
  let p := fun t => if Rlt_dec 0 t then 7/10 else if Rlt_dec t 0 then 1/10 else 2/10 in
  let q := fun t => if Rlt_dec 0 t then 2/10 else if Rlt_dec t 0 then 5/10 else 3/10 in
  Rabs (anchored (1/2) l p q (fun t => t) - 572655/1000000) <= 5/10000000
  /\ Rabs (anchored 1 l p q (fun t => t) - 572593/1000000) <= 5/10000000.
Proof.
  intros l p q.
  assert (M : mgf l q (fun t => t) = 2/10 * exp 1 + (3/10 + 5/10 * exp (-1))).
  { unfold mgf, E, l, q. simpl. repeat destruct (Rlt_dec _ _); try lra. rewrite exp_0. ring. }
  assert (A : E l p (fun t => t) = 6/10).
  { unfold E, l, p. simpl. repeat destruct (Rlt_dec _ _); try lra. }
  unfold anchored. rewrite M, A. split; interval with (i_prec 60).
Qed.
