(** CLUB = I + KL(Q|P) at the true conditional; at a fitted one it need not bound I. *)
From MI Require Import pairs.

Section Club.
Context {X Y : Type} (l : list X) (m : list Y) (p : X * Y -> R).
Let S := list_prod l m.
Let px := fst_law m p.
Let py := snd_law l p.
Let q := indep px py.

Definition club (T : X * Y -> R) : R := E (list_prod l m) p T - E (list_prod l m) (indep (fst_law m p) (snd_law l p)) T.

Hypothesis Lp : law S p.
Hypothesis Pos : forall c, In c S -> 0 < q c -> 0 < p c.

Lemma cases c : In c S -> (p c = 0 /\ q c = 0) \/ (0 < p c /\ 0 < q c).
Proof.
  intros Hc. destruct (law_indep l m p Lp) as [Nq _]. destruct (Nq c Hc) as [H|H].
  - right. split; auto.
  - left. split; [|auto]. now apply (ac_indep l m p Lp).
Qed.

Lemma ac_q_p : ac S q p.
Proof. intros c Hc H. destruct (cases c Hc) as [[_ H1]|[H1 _]]; auto. lra. Qed.

(** The means of a function of x alone agree under both laws. *)
Lemma E_of_x f : E S p (fun c => f (fst c)) = E S q (fun c => f (fst c)).
Proof.
  unfold E, S. rewrite !sum_list_prod. apply sum_ext. intros x _. simpl. unfold q, indep. simpl.
  rewrite sum_scal_r. rewrite (sum_ext m (fun y => px x * py y * f x) (fun y => px x * f x * py y)) by (intros; ring).
  rewrite sum_scal. destruct (law_snd l m p Lp) as [_ S1]. unfold py. rewrite S1. unfold px, fst_law. ring.
Qed.

Lemma E_of_y f : E S p (fun c => f (snd c)) = E S q (fun c => f (snd c)).
Proof.
  unfold E, S. rewrite !sum_list_prod, (sum_swap l m (fun x y => p (x, y) * f (snd (x, y)))), (sum_swap l m (fun x y => q (x, y) * f (snd (x, y)))).
  apply sum_ext. intros y _. simpl. unfold q, indep. simpl.
  rewrite sum_scal_r. rewrite (sum_ext l (fun x => px x * py y * f y) (fun x => py y * f y * px x)) by (intros; ring).
  rewrite sum_scal. destruct (law_fst l m p Lp) as [_ S1]. unfold px. rewrite S1. unfold py, snd_law. ring.
Qed.

Lemma club_log_ratio : club (fun c => ln (p c / q c)) = information l m p + kl S q p.
Proof.
  unfold club, information, kl, E. fold px py q S.
  assert (H : sum S (fun x => q x * ln (p x / q x)) = - sum S (fun x => q x * ln (q x / p x))).
  { rewrite <- sum_opp. apply sum_ext. intros c Hc. destruct (cases c Hc) as [[-> ->]|[H1 H2]]; [ring|].
    rewrite !ln_div; auto. ring. }
  lra.
Qed.
End Club.

(** (a) At T = ln p(y|x), and at ln dP/dQ + f(x) + g(y) for any f and g, CLUB = I + KL(Q|P), an upper bound of I whose gap
    is 0 iff X and Y are independent. *)
Theorem club_upper_bound_a : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R),
  let S := list_prod l m in
  let q := indep (fst_law m p) (snd_law l p) in
  law S p -> (forall c, In c S -> 0 < q c -> 0 < p c) ->
  (forall f g, club l m p (fun c => ln (p c / q c) + f (fst c) + g (snd c)) = information l m p + kl S q p)
  /\ club l m p (fun c => ln (p c / fst_law m p (fst c))) = information l m p + kl S q p
  /\ 0 <= kl S q p
  /\ (kl S q p = 0 <-> same S p q).
Proof.
  intros X Y l m p S q Lp Pos.
  assert (F : forall f g, club l m p (fun c => ln (p c / q c) + f (fst c) + g (snd c)) = information l m p + kl S q p).
  { intros f g. transitivity (club l m p (fun c => ln (p c / q c))); [|exact (club_log_ratio l m p Lp Pos)]. unfold club. rewrite !E_plus.
    rewrite (E_of_x l m p Lp), (E_of_y l m p Lp). unfold q. ring. }
  pose proof (law_indep l m p Lp) as Lq. pose proof (ac_q_p l m p Lp Pos) as A.
  split; [exact F|]. split; [|split].
  - rewrite <- (F (fun _ => 0) (fun y => ln (snd_law l p y))). unfold club.
    assert (Eq : forall w, (forall c, In c S -> p c = 0 -> w c = 0) -> 
      E S w (fun c => ln (p c / fst_law m p (fst c)))
      = E S w (fun c => ln (p c / q c) + 0 + ln (snd_law l p (snd c)))).
    { intros w Hw. apply sum_ext. intros [x y] Hc. destruct (cases l m p Lp Pos (x, y) Hc) as [[H1 _]|[H1 H2]].
      - rewrite (Hw _ Hc H1). ring.
      - unfold q, indep in *. simpl in *. apply in_prod_iff in Hc.
        destruct (law_fst l m p Lp) as [N1 _]. destruct (law_snd l m p Lp) as [N2 _].
        pose proof (N1 x (proj1 Hc)). pose proof (N2 y (proj2 Hc)).
        assert (0 < fst_law m p x) by nra. assert (0 < snd_law l p y) by nra.
        rewrite !ln_div, ln_mult; auto. ring. }
    fold S q. rewrite (Eq p (fun _ _ H => H)), (Eq q (fun c Hc H => A c Hc H)). reflexivity.
  - now apply kl_nonneg.
  - destruct (kl_zero S q p Lq Lp A) as [K1 K2]. split.
    + intros H c Hc. symmetry. now apply K1.
    + intros H. apply K2. intros c Hc. symmetry. now apply H.
Qed.

(** (b) At T = ln v(y|x), v positive wherever q is, CLUB = I + KL(Q|v p(x)) - KL(P|v p(x)): at least I iff
    KL(P|v p(x)) <= KL(Q|v p(x)). *)
Theorem club_upper_bound_b : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (v : X -> Y -> R),
  let S := list_prod l m in
  let q := indep (fst_law m p) (snd_law l p) in
  let w := fun c => v (fst c) (snd c) * fst_law m p (fst c) in
  law S p -> (forall c, In c S -> 0 < q c -> 0 < p c) ->
  (forall x, In x l -> law m (v x)) -> (forall c, In c S -> 0 < q c -> 0 < v (fst c) (snd c)) ->
  club l m p (fun c => ln (v (fst c) (snd c))) = information l m p + kl S q w - kl S p w
  /\ (information l m p <= club l m p (fun c => ln (v (fst c) (snd c))) <-> kl S p w <= kl S q w)
  /\ ac S p w /\ ac S q w.
Proof.
  intros X Y l m p v S q w Lp Pos Lv Hv.
  assert (Pw : forall c, In c S -> 0 < q c -> 0 < fst_law m p (fst c) /\ 0 < snd_law l p (snd c)).
  { intros [x y] Hc H. unfold q, indep in H. simpl in *. apply in_prod_iff in Hc.
    destruct (law_fst l m p Lp) as [N1 _]. destruct (law_snd l m p Lp) as [N2 _].
    pose proof (N1 x (proj1 Hc)). pose proof (N2 y (proj2 Hc)). split; nra. }
  assert (I : club l m p (fun c => ln (v (fst c) (snd c))) = information l m p + kl S q w - kl S p w).
  { unfold club, information, kl, E. fold S q. rewrite <- !sum_minus, <- sum_plus, <- sum_minus.
    transitivity (sum S (fun c => p c * ln (p c / q c) + q c * ln (q c / w c) - p c * ln (p c / w c)
       + (p c - q c) * ln (snd_law l p (snd c)))).
    - apply sum_ext. intros [x y] Hc. destruct (cases l m p Lp Pos (x, y) Hc) as [[H1 H2]|[H1 H2]].
      + fold q in H2. rewrite H1, H2. ring.
      + fold q in H2. destruct (Pw _ Hc H2) as [H3 H4]. pose proof (Hv _ Hc H2) as H5.
        assert (0 < w (x, y)) by (unfold w; now apply Rmult_lt_0_compat).
        rewrite !ln_div; auto. unfold w, q, indep. simpl in *. rewrite !ln_mult; auto. ring.
    - rewrite sum_plus. pose proof (E_of_y l m p Lp (fun y => ln (snd_law l p y))) as H. unfold E in H. fold S q in H.
      assert (H0 : sum S (fun c => (p c - q c) * ln (snd_law l p (snd c))) = 0).
      { rewrite (sum_ext S _ (fun c => p c * ln (snd_law l p (snd c)) - q c * ln (snd_law l p (snd c)))) by (intros; ring).
        rewrite sum_minus, H. ring. }
      rewrite H0. ring. }
  split; [exact I|]. split; [rewrite I; split; lra|].
  assert (Aw : forall c, In c S -> w c = 0 -> q c = 0).
  { intros c Hc H. destruct (law_indep l m p Lp) as [Nq _]. destruct (Nq c Hc) as [H1|H1]; auto. exfalso.
    destruct (Pw c Hc H1) as [H3 _]. pose proof (Hv c Hc H1).
    assert (0 < w c) by (unfold w; now apply Rmult_lt_0_compat). lra. }
  split; intros c Hc H; [apply (ac_indep l m p Lp); auto; now apply Aw|now apply Aw].
Qed.

(** (c) CLUB is linear in T; unless X and Y are independent it has no upper limit over critics. *)
Theorem club_upper_bound_c : forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R),
  let S := list_prod l m in
  let q := indep (fst_law m p) (snd_law l p) in
  law S p ->
  (forall a b T T', club l m p (fun c => a * T c + b * T' c) = a * club l m p T + b * club l m p T')
  /\ ((exists c, In c S /\ p c <> q c) -> forall bound, exists T, bound < club l m p T).
Proof.
  intros X Y l m p S q Lp.
  assert (Lin : forall a b T T', club l m p (fun c => a * T c + b * T' c) = a * club l m p T + b * club l m p T').
  { intros. unfold club. rewrite !E_plus, !E_scal. ring. }
  split; [exact Lin|]. intros [c [Hc N]] bound.
  (* the critic p - q has the value sum (p - q)^2 > 0 *)
  set (T := fun c => p c - q c).
  assert (P : 0 < club l m p T).
  { unfold club, E. fold S q. rewrite <- sum_minus. apply sum_pos.
    - intros x _. unfold T. pose proof (Rle_0_sqr (p x - q x)). unfold Rsqr in *. lra.
    - exists c. split; auto. unfold T. assert (p c - q c <> 0) by (intros C; apply N; lra).
      replace (p c * (p c - q c) - q c * (p c - q c)) with (Rsqr (p c - q c)) by (unfold Rsqr; ring). now apply Rsqr_pos_lt. }
  exists (fun c => (Rabs bound / club l m p T + 1) * T c + 0 * 0).
  rewrite (Lin (Rabs bound / club l m p T + 1) 0 T (fun _ => 0)).
  replace ((Rabs bound / club l m p T + 1) * club l m p T) with (Rabs bound + club l m p T) by (field; lra).
  pose proof (Rle_abs bound). lra.
Qed.
