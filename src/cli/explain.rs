//! `warren explain`: where each value of an environment came from.

use serde::Serialize;

use super::args::Output;
use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::pipeline::explain::{ExplainError, Explained, explain, object};
use crate::pipeline::manifest::Object;

/// Say where each value of an environment came from
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A field is addressed as `spec.rules[0].host` or, by what its elements are, \
                  `containers[name=trow-pod].args[after=--user]`; a key with dots as \
                  `annotations[\"cert-manager.io/issuer\"]`.\n\
                  Examples:\n  warren explain sandbox\n  warren explain sandbox ingress/trow-ingress\n  \
                  warren explain sandbox ingress/trow-ingress 'spec.rules[0].host'"
)]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// The object, such as ingress/trow-ingress; all of them when none is named.
    object: Option<String>,
    /// The field within it; all of them when none is named.
    field: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// An object, and where its values came from.
#[derive(Serialize)]
struct Report {
    object: String,
    /// The file that it was read from.
    file: String,
    fields: Vec<Explained>,
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be composed, and when it has no such object or
/// the object no such field: the error names the nearest.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let composed = composition::composed(&root, &args.environment)?;
    let objects = composed.rendered.objects.as_slice();
    let chosen: Vec<&Object> = match &args.object {
        Some(wanted) => vec![object(objects, wanted).map_err(|error| unknown(&error))?],
        None => objects.iter().collect(),
    };
    let reports: Vec<Report> = chosen
        .into_iter()
        .map(|object| {
            let fields = explain(object, args.field.as_deref());
            let fields = fields.map_err(|error| unknown(&error))?;
            Ok(Report { object: object.id(), file: object.source.clone(), fields })
        })
        .collect::<Result<_, CliError>>()?;
    match args.output {
        Output::Json => context.printer.json(&reports),
        Output::Text => {
            let texts: Vec<_> = reports.iter().map(text).collect();
            context.printer.out(&texts.join("\n"));
        }
    }
    Ok(())
}

fn unknown(error: &ExplainError) -> CliError {
    let nearest = error.nearest().map(|nearest| format!("did you mean `{nearest}`?"));
    let error = CliError::new(ErrorKind::Usage, error.to_string());
    match nearest {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Longer addresses and values get a line that is not aligned with the others.
const WIDTHS: (usize, usize) = (64, 40);

fn text(report: &Report) -> String {
    let width = |texts: &mut dyn Iterator<Item = &String>, most: usize| {
        texts.map(|text| text.chars().count()).filter(|width| *width <= most).max().unwrap_or(0)
    };
    let field = width(&mut report.fields.iter().map(|one| &one.field), WIDTHS.0);
    let value = width(&mut report.fields.iter().map(|one| &one.value), WIDTHS.1);
    let mut text = format!("{} ({})\n", report.object, report.file);
    for one in &report.fields {
        let line = format!("  {:field$}  {:value$}  {}\n", one.field, one.value, one.origin);
        text.push_str(&line);
    }
    text
}
