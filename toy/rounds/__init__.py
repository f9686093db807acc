"""What MIO learns: best of two, a knockout over rounds, the rate of wrong labels, and its loss in three parts."""
