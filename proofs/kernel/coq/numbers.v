(** Interval arithmetic over Z alone: no axiom on machine integers or floats. Write [interval with (i_prec 60)] or more. *)
From MI Require Export words.
From Interval Require Import Specific_stdz Specific_ops.
From Interval Require Export Tactic.
Module Z2 := SpecificFloat StdZRadix2.
Module IT := Tactic.IntervalTactic Z2.
Export IT.
