(** The words of the statements. A person who reads this file and a statement knows what was proved.

    A finite set is a list [l] of atoms of any type; a law on it is a function [p] with p >= 0 on [l] and sum 1.
    Coq's functions are total: ln x = 0 for x <= 0 and x / 0 is some number. So 0 ln 0 = 0 as usual, but [kl p q] is a
    number even where it should be infinite: a statement that names it carries [ac p q]. *)

From Coq Require Export Reals List Lra Lia Psatz.
From Coquelicot Require Export Coquelicot.
Export ListNotations.
Open Scope R_scope.

(** ** Sums, laws, means *)

Fixpoint sum {X : Type} (l : list X) (f : X -> R) : R :=
  match l with [] => 0 | x :: m => f x + sum m f end.

(** [product]: the product of f over the list. *)
Fixpoint product {X : Type} (l : list X) (f : X -> R) : R :=
  match l with [] => 1 | x :: m => f x * product m f end.

(** [law l p]: p is a law on l. *)
Definition law {X} (l : list X) (p : X -> R) : Prop :=
  (forall x, In x l -> 0 <= p x) /\ sum l p = 1.

(** [full l p]: p has mass at every atom. *)
Definition full {X} (l : list X) (p : X -> R) : Prop := forall x, In x l -> 0 < p x.

(** [ac l p q]: p << q, where q has no mass p has none. *)
Definition ac {X} (l : list X) (p q : X -> R) : Prop := forall x, In x l -> q x = 0 -> p x = 0.

(** [same l p q]: equal at every atom. *)
Definition same {X} (l : list X) (p q : X -> R) : Prop := forall x, In x l -> p x = q x.

(** [E l p f]: the mean of f under p. *)
Definition E {X} (l : list X) (p f : X -> R) : R := sum l (fun x => p x * f x).

(** [Var l p f]: the variance of f under p. *)
Definition Var {X} (l : list X) (p f : X -> R) : R := E l p (fun x => (f x - E l p f) ^ 2).

(** ** Divergences *)

Definition kl {X} (l : list X) (p q : X -> R) : R := sum l (fun x => p x * ln (p x / q x)).

(** [mixed a p q]: the law (1 - a) p + a q. *)
Definition mixed {X} (a : R) (p q : X -> R) (x : X) : R := (1 - a) * p x + a * q x.

Definition jsd {X} (l : list X) (p q : X -> R) : R :=
  kl l p (mixed (1/2) p q) / 2 + kl l q (mixed (1/2) p q) / 2.

(** [bern a b]: KL of the coin of chance a to the coin of chance b. *)
Definition bern (a b : R) : R := a * ln (a / b) + (1 - a) * ln ((1 - a) / (1 - b)).

(** [chi2 l p q]: E_q (p/q - 1)^2. *)
Definition chi2 {X} (l : list X) (p q : X -> R) : R := E l q (fun x => (p x / q x - 1) ^ 2).

(** ** Softplus and the logistic function *)

Definition sp (u : R) : R := ln (1 + exp u).
Definition sg (u : R) : R := / (1 + exp (- u)).

(** ** Bounds, at a critic T ~ ln dP/dQ *)

(** [mgf l q T]: E_q e^T. *)
Definition mgf {X} (l : list X) (q T : X -> R) : R := E l q (fun x => exp (T x)).

(** [tilt l q T]: the law proportional to e^T q. *)
Definition tilt {X} (l : list X) (q T : X -> R) (x : X) : R := exp (T x) * q x / mgf l q T.

Definition dv {X} (l : list X) (p q T : X -> R) : R := E l p T - ln (mgf l q T).
Definition nwj {X} (l : list X) (p q T : X -> R) : R := 1 + E l p T - mgf l q T.
Definition js {X} (l : list X) (p q T : X -> R) : R :=
  2 * ln 2 - E l p (fun x => sp (- T x)) - E l q (fun x => sp (T x)).

(** ** Pairs: laws on l x m, their marginals and product *)

Definition fst_law {X Y} (m : list Y) (p : X * Y -> R) (x : X) : R := sum m (fun y => p (x, y)).
Definition snd_law {X Y} (l : list X) (p : X * Y -> R) (y : Y) : R := sum l (fun x => p (x, y)).
Definition indep {X Y} (p : X -> R) (q : Y -> R) (c : X * Y) : R := p (fst c) * q (snd c).

(** ** Samples: [tuples n l] lists all sequences of n atoms; [iid p] is their law for independent draws from p *)

Fixpoint tuples {X} (n : nat) (l : list X) : list (list X) :=
  match n with
  | O => [[]]
  | S k => map (fun c => fst c :: snd c) (list_prod l (tuples k l))
  end.
Definition iid {X} (p : X -> R) (s : list X) : R := product s p.

(** [mean s f]: the plain mean of f over a sample. *)
Definition mean {X} (s : list X) (f : X -> R) : R := sum s f / INR (length s).

(** ** Preferences: rewards u = beta z_w of the chosen and v = beta z_l of the rejected response *)

Definition dpo (u v : R) : R := sp (v - u).
Definition js_loss (a u v : R) : R := sp (- u) + (1 - a) * sp u + a * sp v.

(** [floor_at a]: F_a, the least of the chosen term; 0 at a = 1 as 0 ln 0 = 0. *)
Definition floor_at (a : R) : R := (2 - a) * ln (2 - a) - (1 - a) * ln (1 - a).
Definition logit (x : R) : R := ln (x / (1 - x)).

(** One pair as a finite set: [true] is the chosen response and [false] the rejected one. *)
Definition two : list bool := [true; false].
Definition pair_of (u v : R) (b : bool) : R := if b then u else v.
Definition chosen (b : bool) : R := if b then 1 else 0.
Definition rejected (b : bool) : R := if b then 0 else 1.

(** One chosen response of score u among rejected ones of scores vs: the atoms, each with its score. *)
Definition candidates (u : R) (vs : list R) : list (bool * R) := (true, u) :: map (fun v => (false, v)) vs.
Definition on_chosen (c : bool * R) : R := chosen (fst c).

(** [weights a n]: weight 1 - a on the chosen response and a/n on each of n rejected ones. *)
Definition weights (a : R) (n : nat) (c : bool * R) : R := if fst c then 1 - a else a / INR n.

(** [plackett u vs]: the Plackett-Luce loss of the first place, -ln(e^u / (e^u + sum of e^v)). *)
Definition plackett (u : R) (vs : list R) : R := - ln (exp u / (exp u + sum vs exp)).

(** [is_inf S m]: m is the greatest lower bound of the set S. *)
Definition is_inf (S : R -> Prop) (m : R) : Prop :=
  (forall v, S v -> m <= v) /\ (forall b, (forall v, S v -> b <= v) -> b <= m).
