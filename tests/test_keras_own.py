"""Keras' own tests on the Keras face: what passes, and of what does not the reason."""

from __future__ import annotations

import os

import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NUMPY_HAS_NO_BFLOAT16 = "dtype_arg"
"""The tests of this name in the losses ask for bfloat16, which NumPy has not."""

ABSENT = ("CTC", "Circle", "decay10", "decay7", "decay9", "optimizers10", "optimizers7", "optimizers9")
"""Of losses and optimizers that are not here: CTC, Circle; Adafactor, Lion, Ftrl."""

EXPLAINED = {
    "losses CosineSimilarityTest.test_config": "our configuration keeps the axis, Keras' forgets it",
    "HuberLossTest.test_config": "our configuration keeps delta, Keras' forgets it",
    "PrecisionTest.test_config": "asks for Keras' variables and their names",
    "RecallTest.test_config": "asks for Keras' variables and their names",
    "AUCTest.test_config": "asks for Keras' private enumerations",
    "AUCTest.test_config_manual_thresholds": "asks for Keras' private enumerations",
    "FBetaScoreTest.test_non_2d_input_shapes_raises_value_error": "calls the private _build",
    "FBetaScoreTest.test_undefined_output_dim_raises_value_error": "calls the private _build",
    "MetricTest.test_variable_tracking": "variables are found by Keras' tracker",
    "MetricWrapperTest.test_config": "saves a function by Keras' registry",
    "AdamTest.test_clipnorm_indexed_slices": "sparse gradients of Keras'",
    "AdamTest.test_ema": "use_ema is refused by name; optim.swa_utils has averages",
    "AdamTest.test_ema_overwrite_frequency": "use_ema is refused by name",
    "OptimizerTest.test_ema": "use_ema is refused by name",
    "OptimizerTest.test_ema_with_model_fit": "use_ema is refused by name",
    "OptimizerTest.test_constraints_are_applied": "weights have no constraints here",
    "OptimizerTest.test_gradient_accumulation": "reads private accumulators",
    "OptimizerTest.test_mixed_with_tf_variables": "needs TensorFlow",
    "OptimizerTest.test_tf_checkpointing": "needs TensorFlow",
    "OptimizerTest.test_overwrite_with_gradient": "a private flag of Keras' variables",
    "OptimizerTest.test_overwrite_with_gradient_with_gradient_accumulation": "a private flag of Keras' variables",
    "SensitivityAtSpecificityTest.test_handles_sas_metrics": "its loss has a name that is nobody's, and is never used",
    "MetricWrapperTest.test_binary_accuracy_with_boolean_inputs": "needs keras.Model, and there is Sequential only",
    "MultiAUCTest.test_keras_model_compiles": "needs keras.Model, and there is Sequential only",
    "NadamTest.test_build_with_empty_var_list": "reads a private product",
    "OptimizerTest.test_set_weights": "an optimizer's memory is loaded with its model here",
    "OptimizerTest.test_static_loss_scaling": "loss_scale_factor is refused by name",
    "CallbackTest.test_model_state_is_current_on_epoch_end": "needs keras.Model, and there is Sequential only",
    "CSVLoggerTest.test_CSVLogger": "a loss that is not finite ends training here, before it is logged",
    "CSVLoggerTest.test_stop_training_csv": "a loss that is not finite ends training here, before it is logged",
    "EarlyStoppingTest.test_early_stopping": "reads the private monitor_op",
    "EarlyStoppingTest.test_early_stopping_final_weights_when_restoring_model_weights": "its model is a stand-in with "
    "get_weights alone",
    "LambdaCallbackTest.test_lambda_callback_with_additional_kwargs": "an unknown hook is refused here",
    "LearningRateSchedulerTest.test_throws_when_optimizer_has_schedule": "refused as ArgumentError, not TypeError",
    "LearningRateSchedulerTest.test_verbose_logging": "other words",
    "ReduceLROnPlateauTest.test_throws_when_optimizer_has_schedule": "refused once the rate is lowered",
    "ReduceLROnPlateauTest.test_verbose_logging": "other words",
    "TerminateOnNaNTest.test_TerminateOnNaN": "a loss that is not finite ends training here, before it is logged",
} | {
    f"TerminateOnNaNTest.test_{name}": "raise_error of Keras 3.15 is not here"
    for name in (
        "normal_training_does_not_raise_raise_error_false",
        "normal_training_does_not_raise_raise_error_true",
        "raise_error_terminate_does_not_trigger_on_train_end",
        "raise_error_terminate_preserves_backup",
        "raise_error_terminate_stops_on_later_batch",
        "terminate_on_nan_graceful_stop",
        "terminate_on_nan_raise_error_raises_error",
    )
}

PASSED = {"callbacks": 17, "losses": 149, "metrics": 349, "optimizers": 76, "schedules": 35}
"""How many pass with Keras 3.15.1."""


@pytest.mark.parametrize("room", PASSED)
def test_keras_own_tests_pass_but_for_those_explained(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No test fails without its reason, and no reason is left over."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="pip install keras==3.15.1, to compare with")
    import keras_own

    passed, unexpected, used = 0, {}, set()
    for path in keras_own.ROOMS[room]:
        for name, case in keras_own.cases(path):
            found = keras_own.outcome(case)
            if name not in EXPLAINED:
                name = f"{room} {name}"
            if found is None:
                passed += 1
                if name in EXPLAINED:
                    unexpected[name] = "passes, though it is explained why it does not"
            elif name in EXPLAINED:
                used.add(name)
            elif not (NUMPY_HAS_NO_BFLOAT16 in name or any(one in name for one in ABSENT)):
                unexpected[name] = found
    with capsys.disabled():
        print(f"\nKeras' own tests of {room}: {passed} passed, {len(used)} explained")
    assert not unexpected
    if keras.__version__ == "3.15.1":
        assert passed == PASSED[room]
