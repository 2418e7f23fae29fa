//! The convergence state machine: pure; state, event and time give the next state and actions.
