//! What was measured: rows with their goals, a table for people, JSON for programs.
//!
//! In: rows. Out: text, JSON. Never: a measurement.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::Machine;

/// One thing that was measured, and what it must reach.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What.
    pub(crate) name: String,
    /// What it came to.
    pub(crate) value: f64,
    /// Of `value` and `limit`.
    pub(crate) unit: &'static str,
    /// What a bare loop came to that does only the unavoidable part, in the same run; none where there is no such loop.
    pub(crate) limit: Option<f64>,
    /// `value / limit`.
    pub(crate) ratio: Option<f64>,
    /// As people read it: `≥ 80 %`.
    pub(crate) goal: String,
    /// True when the goal is reached; none where there is no goal.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// More is better: at least so many percent of what the bare loop does.
    pub(crate) fn at_least_percent(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        limit: f64,
        percent: u32,
    ) -> Self {
        let met = value * 100.0 >= limit * f64::from(percent);
        let goal = format!("≥ {percent} %");
        Self::new(name, (value, unit), Some(limit), goal, met)
    }

    /// Less is better: at most so many times what the bare loop takes.
    pub(crate) fn at_most_times(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        limit: f64,
        times: f64,
    ) -> Self {
        let goal = format!("≤ {times} ×");
        Self::new(
            name,
            (value, unit),
            Some(limit),
            goal,
            value <= limit * times,
        )
    }

    /// Less is better: at most so much more than what the bare loop takes.
    pub(crate) fn at_most_beyond(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        limit: f64,
        beyond: f64,
    ) -> Self {
        let goal = format!("≤ limit + {beyond} {unit}");
        Self::new(
            name,
            (value, unit),
            Some(limit),
            goal,
            value <= limit + beyond,
        )
    }

    /// Less is better: at most this, whatever the machine.
    pub(crate) fn at_most(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        bound: f64,
    ) -> Self {
        let goal = format!("≤ {bound} {unit}");
        Self::new(name, (value, unit), None, goal, value <= bound)
    }

    /// More is better: at least this, whatever the machine.
    pub(crate) fn at_least(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        bound: f64,
    ) -> Self {
        let goal = format!("≥ {bound} {unit}");
        Self::new(name, (value, unit), None, goal, value >= bound)
    }

    /// What nothing is asked of.
    pub(crate) fn shown(name: impl Into<String>, (value, unit): (f64, &'static str)) -> Self {
        Self {
            met: None,
            ..Self::new(name, (value, unit), None, "-".to_owned(), true)
        }
    }

    /// The same row, with a lower bound besides.
    pub(crate) fn and_at_least(mut self, bound: f64) -> Self {
        let _infallible = write!(self.goal, ", ≥ {}", number(bound));
        self.met = self.met.map(|met| met && self.value >= bound);
        self
    }

    /// The same row, with what a bare loop came to for comparison.
    pub(crate) fn beside(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self.ratio = Some(self.value / limit);
        self
    }

    fn new(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        limit: Option<f64>,
        goal: String,
        met: bool,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            limit,
            ratio: limit.map(|limit| value / limit),
            goal,
            met: Some(met),
        }
    }
}

/// All that is said about a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// A table that fits 100 columns.
    pub(crate) fn table(&self) -> String {
        let head = ["", "measured", "bare loop", "ratio", "goal", ""].map(str::to_owned);
        let rows = self.rows.iter().map(|row| {
            let limit = row.limit.map_or_else(|| "-".to_owned(), number);
            let ratio = row
                .ratio
                .map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
            let met = match row.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            let value = format!("{} {}", number(row.value), row.unit);
            [
                row.name.clone(),
                value,
                limit,
                ratio,
                row.goal.clone(),
                met.to_owned(),
            ]
        });
        let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
        let mut text = format!("{}\n\n", self.machine);
        for [name, value, limit, ratio, goal, met] in &lines {
            let [w0, w1, w2, w3, w4, _] = widths;
            let line =
                format!("{name:w0$}  {value:>w1$}  {limit:>w2$}  {ratio:>w3$}  {goal:w4$}  {met}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Three digits that matter, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.*}", if value.abs() < 10.0 { 2 } else { 1 });
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
