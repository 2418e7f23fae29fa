//! What clap leaves undone with a command line: the word `help`, and whose value is wrong, the flag's or the variable's.
use crate::config::findings::OVERRIDE;
use crate::finding::Finding;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use std::error::Error as _;
use std::ffi::OsString;

/// `certdrift help check` is `certdrift check --help`; so is `certdrift ledger help show` its own.
pub(super) fn help_is_a_word_too(command: &Command, mut argv: Vec<OsString>) -> Vec<OsString> {
    let (mut level, mut at) = (command, 1);
    while let Some(word) = argv.get(at).and_then(|word| word.to_str()) {
        if word == "help" && level.has_subcommands() {
            while argv.get(at).is_some_and(|word| word == "help") {
                argv.remove(at);
            }
            argv.push("--help".into());
            break;
        }
        match level.find_subcommand(word) {
            Some(next) => level = next,
            None => break,
        }
        at += 1;
    }
    argv
}

/// clap names the flag also where the value came from the environment, and who reads that looks for a flag nobody typed.
pub(super) fn blames_a_variable(
    error: &clap::Error,
    command: &Command,
    argv: &[OsString],
) -> Option<Finding> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    // An argument's own form is known once its command is built, and clap builds but the one that was typed.
    let mut command = command.clone();
    command.build();
    let (named, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let arg =
        arguments(&command).into_iter().find(|arg| arg.get_env().is_some() && arg.to_string() == named)?;
    let variable = arg.get_env()?;
    if is_typed(arg, argv) || std::env::var_os(variable)? != *value {
        return None;
    }
    let why = match (error.source(), error.get(ContextKind::ValidValue)) {
        _ if value.is_empty() => "it is set to nothing at all".to_owned(),
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(known))) => format!("it is none of {}", known.join(", ")),
        (None, _) => "it is not what it has to be".to_owned(),
    };
    let variable = variable.to_string_lossy();
    let mut finding = OVERRIDE.on(format!("{variable}={value}"), why);
    finding.mend = format!("correct it, or: unset {variable}");
    Some(finding)
}

fn arguments(command: &Command) -> Vec<&Arg> {
    let below = command.get_subcommands().flat_map(arguments);
    command.get_arguments().chain(below).collect()
}

/// A flag wins over its variable, so a flag that stands there is the one to blame.
fn is_typed(arg: &Arg, argv: &[OsString]) -> bool {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    argv.iter().filter_map(|word| word.to_str()).any(|word| {
        let is_long = long
            .as_deref()
            .and_then(|long| word.strip_prefix(long))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
        is_long || short.as_deref().is_some_and(|short| word.starts_with(short))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn help_is_a_word_where_a_command_could_stand_and_nowhere_else() {
        for (typed, meant) in [
            ("certdrift help", "certdrift --help"),
            ("certdrift help help", "certdrift --help"),
            ("certdrift help check", "certdrift check --help"),
            ("certdrift help ledger show", "certdrift ledger show --help"),
            ("certdrift ledger help show", "certdrift ledger show --help"),
            ("certdrift check help", "certdrift check help"),
            ("certdrift", "certdrift"),
        ] {
            assert_eq!(help_is_a_word_too(&super::super::root(&[]), words(typed)), words(meant), "{typed}");
        }
    }
}
