//! Rows of figures, their medians, and whether a goal is met.

use std::fmt::Write as _;

/// What our figure has to be.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least so many times the best registry.
    TimesBest(f64),
    /// At least so much of nginx.
    OfNginx(f64),
    /// Below this.
    Under(f64),
    /// At least this.
    AtLeast(f64),
    /// Not above the lowest of the registries.
    NoWorse,
}

/// One measurement of everybody who takes part in it.
pub struct Row {
    /// What was measured.
    pub title: String,
    /// Of the figures.
    pub unit: &'static str,
    /// What ours has to be.
    pub goals: Vec<Goal>,
    /// By the name of the peer, a figure of each round.
    pub figures: Vec<(&'static str, Vec<f64>)>,
}

/// Our column's name.
pub const OURS: &str = "warren";
/// The column of the limit.
pub const LIMIT: &str = "nginx";

impl Row {
    /// A row without figures.
    pub fn new(title: impl Into<String>, unit: &'static str, goals: &[Goal]) -> Self {
        Self { title: title.into(), unit, goals: goals.to_vec(), figures: Vec::new() }
    }

    /// Adds one round's figure.
    pub fn add(&mut self, name: &'static str, figure: f64) {
        match self.figures.iter_mut().find(|(known, _)| *known == name) {
            Some((_, figures)) => figures.push(figure),
            None => self.figures.push((name, vec![figure])),
        }
    }

    /// The median of a column.
    pub fn median(&self, name: &str) -> Option<f64> {
        let (_, figures) = self.figures.iter().find(|(known, _)| *known == name)?;
        let mut sorted = figures.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    fn peers(&self) -> impl Iterator<Item = f64> {
        let names = self.figures.iter().map(|(name, _)| *name);
        names.filter(|name| *name != OURS && *name != LIMIT).filter_map(|name| self.median(name))
    }

    /// Our figure in proportion to the best registry and to nginx, then each
    /// goal and whether it is met.
    fn verdict(&self) -> String {
        let Some(ours) = self.median(OURS) else { return String::new() };
        let lower = self.goals.iter().any(|goal| matches!(goal, Goal::Under(_) | Goal::NoWorse));
        let best =
            if lower { self.peers().reduce(f64::min) } else { self.peers().reduce(f64::max) };
        let nginx = self.median(LIMIT);
        let mut said = Vec::new();
        let mut goal_said = |text: String, met: bool| {
            said.push(format!("{text}: {}", if met { "met" } else { "**not met**" }));
        };
        let mut compared = (false, false);
        for goal in &self.goals {
            match (*goal, best, nginx) {
                (Goal::TimesBest(times), Some(best), _) => {
                    compared.0 = true;
                    goal_said(
                        format!("{:.2} of the best registry, goal {times}", ours / best),
                        ours >= times * best,
                    );
                }
                (Goal::OfNginx(part), _, Some(nginx)) => {
                    compared.1 = true;
                    goal_said(
                        format!("{:.2} of nginx, goal {part:.2}", ours / nginx),
                        ours >= part * nginx,
                    );
                }
                (Goal::NoWorse, Some(best), _) => {
                    compared.0 = true;
                    goal_said(
                        format!("{:.2} of the best registry, goal 1 or less", ours / best),
                        ours <= best,
                    );
                }
                (Goal::Under(limit), ..) => {
                    goal_said(format!("goal under {}", number(limit)), ours < limit);
                }
                (Goal::AtLeast(limit), ..) => {
                    goal_said(format!("goal {}", number(limit)), ours >= limit);
                }
                _ => {}
            }
        }
        if let (Some(best), false) = (best, compared.0) {
            said.push(format!("{:.2} of the best registry", ours / best));
        }
        if let (Some(nginx), false) = (nginx, compared.1) {
            said.push(format!("{:.2} of nginx", ours / nginx));
        }
        said.join("; ")
    }
}

/// All rows as a table of Markdown, with these columns.
pub fn markdown(rows: &[Row], columns: &[&str]) -> String {
    let mut text = format!("| | unit | {} | ours |\n|---|---|", columns.join(" | "));
    text.push_str(&"---:|".repeat(columns.len()));
    text.push_str("---|\n");
    for row in rows {
        let _ = write!(text, "| {} | {} |", row.title, row.unit);
        for column in columns {
            let figure = row.median(column).map_or_else(|| "–".to_owned(), number);
            let _ = write!(text, " {figure} |");
        }
        let _ = writeln!(text, " {} |", row.verdict());
    }
    text
}

/// Three digits that count, thousands apart.
fn number(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
