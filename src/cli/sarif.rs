//! Findings as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which forges show
//! beside the lines that caused them.

use serde::Serialize;

use crate::pipeline::check::{Finding, rules};

/// A log of one run. Section 3.13.
#[derive(Debug, Serialize)]
pub struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Result<'a>>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message<'static>,
    help: Message<'static>,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    text: std::borrow::Cow<'a, str>,
}

/// Section 3.27. A code with a `/` is a hierarchical rule id, whose first part
/// names the rule (section 3.5.4.1).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Result<'a> {
    rule_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Message<'a>,
    locations: [Location<'a>; 1],
    suppressions: Vec<Suppression<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: Physical<'a>,
    logical_locations: Vec<Logical>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical<'a> {
    artifact_location: Artifact<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    uri: std::borrow::Cow<'a, str>,
    uri_base_id: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
}

#[derive(Debug, Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    justification: &'a str,
}

/// The findings as a log. A finding whose cause stands in no file is shown at
/// its environment's.
#[must_use]
pub fn log(findings: &[Finding]) -> Log<'_> {
    let rules = rules::RULES.iter().map(|rule| Rule {
        id: rule.code,
        short_description: Message { text: rule.finds.into() },
        help: Message { text: rule.way_out.into() },
        default_configuration: Configuration { level: rule.severity.as_str() },
    });
    let driver =
        Driver { name: "warren", version: env!("CARGO_PKG_VERSION"), rules: rules.collect() };
    Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool { driver },
            // Ours count characters.
            column_kind: "unicodeCodePoints",
            results: findings.iter().map(result).collect(),
        }],
    }
}

fn result(finding: &Finding) -> Result<'_> {
    let rule = rules::rule(&finding.code);
    let rule_index = rules::RULES.iter().position(|other| Some(*other) == rule);
    let file = match &finding.cause {
        Some(cause) => cause.file.as_str().into(),
        None => format!("environments/{}.toml", finding.environment).into(),
    };
    let region = finding.cause.as_ref().filter(|cause| cause.line > 0);
    let region =
        region.map(|cause| Region { start_line: cause.line, start_column: cause.column.max(1) });
    let mut name = finding.environment.clone();
    for part in [&finding.object, &finding.field] {
        if !part.is_empty() {
            name.push(' ');
            name.push_str(part);
        }
    }
    let text = format!("{name}: {}. {}", finding.message, finding.hint);
    Result {
        rule_id: &finding.code,
        rule_index,
        level: finding.severity.as_str(),
        message: Message { text: text.into() },
        locations: [Location {
            physical_location: Physical {
                artifact_location: Artifact { uri: file, uri_base_id: "%SRCROOT%" },
                region,
            },
            logical_locations: vec![Logical { fully_qualified_name: name }],
        }],
        suppressions: finding
            .waived
            .iter()
            .map(|reason| Suppression { kind: "external", justification: reason })
            .collect(),
    }
}
