(** Mass eps is missed by all M negatives with probability (1 - eps)^M, and DV's sample value is then blind to it. *)
From MI Require Import exchangeable.

(** The indicator of a region. *)
Definition inside {X} (region : X -> bool) (x : X) : R := if region x then 1 else 0.

(** The plug-in value: the mean of T over the positives minus ln of the mean of e^T over the negatives. *)
Definition plug_in {X} (positives negatives : list X) (T : X -> R) : R :=
  mean positives T - ln (mean negatives (fun x => exp (T x))).

(** The critic raised by c on the region. *)
Definition raised {X} (region : X -> bool) (T : X -> R) (c : R) (x : X) : R := T x + c * inside region x.

Section Samples.
Context {X : Type} (l : list X) (q : X -> R) (region : X -> bool) (L : law l q).

Lemma E_missed n : E (tuples n l) (iid q) (fun s => if existsb region s then 0 else 1) = (1 - E l q (inside region)) ^ n.
Proof.
  induction n as [|n IH]; [unfold E; simpl; unfold iid; simpl; ring|].
  unfold E at 1. rewrite sum_tuples_S.
  rewrite (sum_ext l _ (fun x => (q x - q x * inside region x) * (1 - E l q (inside region)) ^ n)).
  - rewrite sum_scal_r, sum_minus. change (sum l (fun x => q x * inside region x)) with (E l q (inside region)). destruct L as [_ ->]. simpl. ring.
  - intros x _. rewrite <- IH. unfold E. rewrite <- sum_scal. apply sum_ext. intros s _. unfold iid, inside. cbn [product existsb].
    destruct (region x); simpl; ring.
Qed.
End Samples.

Lemma bernoulli_low eps n : 0 <= eps <= 1 -> 1 - INR n * eps <= (1 - eps) ^ n.
Proof.
  intros H. induction n as [|n IH]; [simpl; lra|]. rewrite S_INR. simpl. pose proof (pos_INR n).
  assert (0 <= INR n * (eps * eps)) by (apply Rmult_le_pos; nra).
  apply (Rmult_le_compat_l (1 - eps)) in IH; nra.
Qed.

Lemma power_exp eps n : 0 < eps < 1 -> (1 - eps) ^ n <= exp (- (eps * INR n)).
Proof.
  intros H. rewrite <- (exp_ln ((1 - eps) ^ n)) by (apply pow_lt; lra).
  assert (ln ((1 - eps) ^ n) <= - (eps * INR n)).
  { rewrite ln_pow by lra. pose proof (ln_le_sub (1 - eps) ltac:(lra)). pose proof (pos_INR n). nra. }
  destruct H0 as [H0| ->]; [left; now apply exp_increasing|lra].
Qed.

(** (a) No negative is in a region of mass eps with probability (1 - eps)^M, between 1 - M eps and e^{-eps M}; so
    M >= ln(1/delta)/eps suffice to miss it with probability at most delta, and fewer than (1 - delta)/eps never do. *)
Theorem missed_mass_a : forall (X : Type) (l : list X) (q : X -> R) (region : X -> bool) (M : nat) (delta : R),
  law l q ->
  let eps := E l q (inside region) in
  0 < eps < 1 -> 0 < delta < 1 ->
  let missed := E (tuples M l) (iid q) (fun s => if existsb region s then 0 else 1) in
  missed = (1 - eps) ^ M
  /\ 1 - INR M * eps <= missed <= exp (- (eps * INR M))
  /\ (ln (1 / delta) / eps <= INR M -> missed <= delta)
  /\ (INR M < (1 - delta) / eps -> delta < missed).
Proof.
  intros X l q region M delta L eps He Hd missed.
  assert (Em : missed = (1 - eps) ^ M) by exact (E_missed l q region L M).
  pose proof (bernoulli_low eps M ltac:(lra)). pose proof (power_exp eps M He).
  split; [auto|]. rewrite Em. split; [lra|]. split; intros H1.
  - apply Rle_trans with (1 := H0). rewrite ln_div, ln_1 in H1 by lra.
    apply (Rmult_le_compat_r eps) in H1; [|lra]. unfold Rdiv in H1. rewrite Rmult_assoc, Rinv_l in H1 by lra.
    rewrite <- (exp_ln delta) at 1 by lra.
    destruct (Req_dec (- (eps * INR M)) (ln delta)) as [->|N]; [lra|]. left. apply exp_increasing. lra.
  - apply (Rmult_lt_compat_r eps) in H1; [|lra]. unfold Rdiv in H1. rewrite Rmult_assoc, Rinv_l in H1 by lra. lra.
Qed.

(** ln(a + b e^c) lies above its tangents in c. *)
Lemma log_mix a b c : 0 < a -> 0 < b -> ln (a + b * exp c) = ln a + sp (c + ln (b / a)).
Proof.
  intros Ha Hb. unfold sp. rewrite exp_plus, exp_ln by now apply Rdiv_pos. pose proof (exp_pos c).
  assert (0 < 1 + exp c * (b / a)) by (pose proof (Rdiv_pos b a Hb Ha); nra).
  rewrite <- ln_mult by auto. f_equal. field. lra.
Qed.

Lemma sp_strict x y t : x <> y -> 0 < t < 1 -> sp ((1 - t) * x + t * y) < (1 - t) * sp x + t * sp y.
Proof.
  intros N Ht. set (m := (1 - t) * x + t * y).
  assert (x <> m) by (unfold m; intros C; apply N; assert (t * (x - y) = 0) by lra; apply Rmult_integral in H; destruct H; lra).
  assert (y <> m) by (unfold m; intros C; apply N; assert ((1 - t) * (y - x) = 0) by lra; apply Rmult_integral in H0; destruct H0; lra).
  pose proof (sp_tangent_lt x m H) as T1. pose proof (sp_tangent_lt y m H0) as T2.
  apply (Rmult_lt_compat_l (1 - t)) in T1; [|lra]. apply (Rmult_lt_compat_l t) in T2; [|lra].
  assert ((1 - t) * (sg m * (x - m)) + t * (sg m * (y - m)) = 0) by (unfold m; ring). nra.
Qed.

(** (b) Where no negative is in the region the plug-in value sees the critic there through the positives alone: raised by
    c on it, it grows by c times the share of the positives in it. The exact DV is strictly concave in c and falls to
    -infinity if P(A) < 1. A positive in the region and no negative happen with probability
    (1 - eps)^M (1 - (1 - P(A))^N), positives and negatives independent. *)
Theorem missed_mass_b : forall (X : Type) (l : list X) (p q T : X -> R) (region : X -> bool),
  law l p -> law l q ->
  let a := E l p (inside region) in
  let eps := E l q (inside region) in
  0 < eps < 1 ->
  (forall positives negatives c, positives <> [] -> existsb region negatives = false ->
     plug_in positives negatives (raised region T c) = plug_in positives negatives T + c * mean positives (inside region))
  /\ (forall c d t, c <> d -> 0 < t < 1 ->
        (1 - t) * dv l p q (raised region T c) + t * dv l p q (raised region T d)
          < dv l p q (raised region T ((1 - t) * c + t * d)))
  /\ (a < 1 -> forall bound, exists C, forall c, C < c -> dv l p q (raised region T c) < bound)
  /\ (forall N M, E (tuples N l) (iid p) (fun s => if existsb region s then 1 else 0)
                  * E (tuples M l) (iid q) (fun s => if existsb region s then 0 else 1) = (1 - eps) ^ M * (1 - (1 - a) ^ N)
        /\ E (list_prod (tuples N l) (tuples M l)) (fun o => iid p (fst o) * iid q (snd o))
             (fun o => if existsb region (fst o) then if existsb region (snd o) then 0 else 1 else 0)
           = (1 - eps) ^ M * (1 - (1 - a) ^ N)).
Proof.
  intros X l p q T region Lp Lq a eps He.
  set (zin := E l q (fun x => inside region x * exp (T x))). set (zout := E l q (fun x => (1 - inside region x) * exp (T x))).
  assert (Zc : forall c, mgf l q (raised region T c) = zout + zin * exp c).
  { intros c. unfold zin, zout, mgf. rewrite (Rmult_comm _ (exp c)), <- E_scal, <- E_plus. apply E_ext. intros x _.
    unfold raised, inside. destruct (region x).
    - rewrite Rmult_1_r, exp_plus. ring.
    - rewrite Rmult_0_r, Rplus_0_r. ring. }
  assert (Pin : 0 < zin).
  { apply sum_pos.
    - intros x Hx. destruct Lq as [N _]. pose proof (N x Hx). pose proof (exp_pos (T x)). unfold inside.
      destruct (region x); nra.
    - destruct (Classical_Prop.classic (exists x, In x l /\ 0 < q x * (inside region x * exp (T x)))) as [H|H]; auto. exfalso.
      assert (eps = 0); [|lra]. unfold eps, E. rewrite <- (sum_0 l). apply sum_ext. intros x Hx. unfold inside.
      destruct (region x) eqn:Rx; [|ring]. destruct Lq as [N _]. destruct (N x Hx) as [Hq|Hq]; [|rewrite <- Hq; ring].
      exfalso. apply H. exists x. split; auto. unfold inside. rewrite Rx. pose proof (exp_pos (T x)). nra. }
  assert (Pout : 0 < zout).
  { apply sum_pos.
    - intros x Hx. destruct Lq as [N _]. pose proof (N x Hx). pose proof (exp_pos (T x)). unfold inside.
      destruct (region x); nra.
    - destruct (Classical_Prop.classic (exists x, In x l /\ 0 < q x * ((1 - inside region x) * exp (T x)))) as [H|H]; auto. exfalso.
      assert (eps = 1); [|lra]. unfold eps. rewrite <- (E_const l q 1 Lq). apply sum_ext. intros x Hx. unfold inside.
      destruct (region x) eqn:Rx; [ring|]. destruct Lq as [N _]. destruct (N x Hx) as [Hq|Hq]; [|rewrite <- Hq; ring].
      exfalso. apply H. exists x. split; auto. unfold inside. rewrite Rx. pose proof (exp_pos (T x)). nra. }
  assert (Dv : forall c, dv l p q (raised region T c) = E l p T + c * a - ln zout - sp (c + ln (zin / zout))).
  { intros c. unfold dv. rewrite Zc, log_mix by auto. unfold raised. rewrite E_plus, E_scal. unfold a. ring. }
  split; [|split; [|split]].
  - intros positives negatives c NE H. unfold plug_in.
    assert (M1 : mean negatives (fun x => exp (raised region T c x)) = mean negatives (fun x => exp (T x))).
    { unfold mean. f_equal. apply sum_ext. intros x Hx. unfold raised, inside.
      destruct (region x) eqn:Rx; [|f_equal; ring].
      assert (existsb region negatives = true) by (apply existsb_exists; eauto). congruence. }
    rewrite M1. unfold mean at 1, raised. rewrite sum_plus, sum_scal. unfold mean, Rdiv. ring.
  - intros c d t N Ht. rewrite !Dv.
    pose proof (sp_strict (c + ln (zin / zout)) (d + ln (zin / zout)) t ltac:(lra) Ht) as S.
    replace ((1 - t) * (c + ln (zin / zout)) + t * (d + ln (zin / zout))) with ((1 - t) * c + t * d + ln (zin / zout)) in S by ring. nra.
  - intros Ha bound. set (k := E l p T - ln zout - ln (zin / zout)).
    exists (Rmax 0 ((k - bound) / (1 - a))). intros c Hc.
    pose proof (Rmax_l 0 ((k - bound) / (1 - a))). pose proof (Rmax_r 0 ((k - bound) / (1 - a))).
    rewrite Dv. pose proof (sp_gt_id (c + ln (zin / zout))).
    assert (k - bound < (1 - a) * c).
    { assert (H3 : (k - bound) / (1 - a) < c) by lra. apply (Rmult_lt_compat_l (1 - a)) in H3; [|lra].
      replace ((1 - a) * ((k - bound) / (1 - a))) with (k - bound) in H3 by (field; lra). exact H3. }
    unfold k in *. lra.
  - intros N M.
    assert (P1 : E (tuples N l) (iid p) (fun s => if existsb region s then 1 else 0) = 1 - (1 - a) ^ N).
    { unfold a. rewrite <- (E_missed l p region Lp N). rewrite <- (E_const (tuples N l) (iid p) 1 (law_iid l p N Lp)) at 1.
      rewrite <- E_minus. apply E_ext. intros s _. destruct (existsb region s); ring. }
    assert (P2 : E (tuples M l) (iid q) (fun s => if existsb region s then 0 else 1) = (1 - eps) ^ M) by exact (E_missed l q region Lq M).
    split; [rewrite P1, P2; ring|]. rewrite <- P1, <- P2. unfold E. rewrite sum_list_prod. simpl.
    rewrite Rmult_comm, <- sum_scal_r. apply sum_ext. intros s _. rewrite <- sum_scal. apply sum_ext. intros u _.
    destruct (existsb region s), (existsb region u); ring.
Qed.
