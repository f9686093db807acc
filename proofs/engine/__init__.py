"""How a theorem is checked. A theorem's module imports all its words from here.

What it holds: `Theorem` and its `Part`s; the provers and refuters `Identity`, `Sign`, `Minimum`, `Limit`, `Certified`,
`Tested`; the comparisons with the library, `Shipped` and `Holds`; wrong libraries, `Mutant`; the words of the field.
"""

from . import numerics, oracles, strategies
from .certify import Certified
from .example import Example
from .mutants import (
    AS_DPO,
    AS_MIO,
    HALF_LOSS,
    NEARLY,
    RIDGE,
    TURNED,
    WEIGHTS_IGNORED,
    Mutant,
    instead,
    loss_at,
    off,
    scaled,
)
from .shipped import (
    Holds,
    Shipped,
    batches,
    compiled,
    dv_excess,
    gradient,
    logs,
    on_law,
    pair_batches,
    pair_gradient,
    pair_loss,
    population_loss,
    tensor,
)
from .symbolic import Identity, Limit, Minimum, Sign
from .tested import Tested
from .theorem import Part, Sum, Theorem
from .vocabulary import (
    HALF,
    Scalar,
    Values,
    dpo_loss,
    dv,
    expect,
    expression,
    infonce_row,
    integers,
    js,
    js_loss,
    kl,
    log_ratios,
    mixture,
    normalised,
    nwj,
    partition,
    positives,
    ratios,
    reals,
    sigmoid,
    softplus,
    tilted,
    twice_jsd,
    two_by_two,
    two_laws,
    word,
)
