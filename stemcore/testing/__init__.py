"""The contract of plugins as checks, for their authors: one pytest case per component and promise.

    from stemcore.testing import contract_checks

    @contract_checks("stem_tv.plugin")
    def test_contract(check):
        check()

The same checks run from the shell: ``stem plugins check DIST``. What a check needs to know of a component (a
configuration, tensors, files) an example says, see :mod:`stemcore.testing.examples`.
"""

from stemcore.testing.examples import (
    AugmentationExample,
    CallbackExample,
    CommandExample,
    DatasetExample,
    Example,
    FigureExample,
    LoggerExample,
    LossExample,
    MetricExample,
    ModelExample,
    OptimizerExample,
    RecipeExample,
    SamplerExample,
    TransformExample,
)
from stemcore.testing.pytest_cases import contract_checks
from stemcore.testing.small_run import small_run

__all__ = [
    "AugmentationExample",
    "CallbackExample",
    "CommandExample",
    "DatasetExample",
    "Example",
    "FigureExample",
    "LoggerExample",
    "LossExample",
    "MetricExample",
    "ModelExample",
    "OptimizerExample",
    "RecipeExample",
    "SamplerExample",
    "TransformExample",
    "contract_checks",
    "small_run",
]
