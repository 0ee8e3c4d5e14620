//! A shorter story that fails in the same way: what can be left out is left out.

use std::fmt::Write as _;

use crate::{
    coverage::Coverage,
    plan::{Plan, Vice},
    world::World,
};

/// Runs at most.
const TRIES: usize = 400;

/// The story of the smallest plan found that fails like this one.
pub(crate) fn shortest(plan: Plan, wrong: &str, lines: usize) -> String {
    let gist = gist(wrong);
    let mut best = plan;
    let mut tries = 0;
    while let Some(smaller) = smaller(&best).into_iter().find(|smaller| {
        tries += 1;
        tries <= TRIES && fails_like(smaller, &gist)
    }) {
        best = smaller;
    }
    tell(&best, lines)
}

/// Plans with one part less each, the largest parts first.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let count = plan.faults.len();
    let mut size = count.div_ceil(2);
    while size > 0 {
        for from in (0..count).step_by(size) {
            let mut less = plan.clone();
            less.faults.drain(from..(from + size).min(count));
            all.push(less);
        }
        size = if size == 1 { 0 } else { size / 2 };
    }
    if plan.work_ms > 120_000 {
        let mut less = plan.clone();
        less.work_ms /= 2;
        all.push(less);
    }
    for (at, plugin) in plan.plugins.iter().enumerate() {
        if plugin.vice != Vice::Nothing {
            let mut less = plan.clone();
            less.plugins[at].vice = Vice::Nothing;
            all.push(less);
        }
    }
    if plan.gap_hold_s > 0 || plan.site_page.is_some() {
        let mut less = plan.clone();
        (less.gap_hold_s, less.site_page) = (0, None);
        all.push(less);
    }
    all
}

fn fails_like(plan: &Plan, gist: &str) -> bool {
    let mut coverage = Coverage::default();
    let outcome = World::new(plan, &mut coverage, 0).run();
    outcome
        .wrong
        .is_some_and(|wrong| self::gist(&wrong) == gist)
}

/// What went wrong, whatever the numbers.
fn gist(wrong: &str) -> String {
    let words = wrong.split(|c: char| c.is_ascii_digit() || "[]{},;: ".contains(c));
    words
        .filter(|word| word.len() > 3)
        .take(8)
        .collect::<Vec<_>>()
        .join(" ")
}

fn tell(plan: &Plan, lines: usize) -> String {
    let mut text = String::new();
    let mut coverage = Coverage::default();
    let mut world = World::new(plan, &mut coverage, lines);
    let outcome = world.run();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "  pages of {} rows, gaps are late after {} s and given up after {} s, held for {} s; starts at {:?}; work for {} min, every {} ms; the site's page {:?}",
        plan.page,
        plan.gap_timeout_s,
        plan.gap_give_up_s,
        plan.gap_hold_s,
        plan.start,
        plan.work_ms / 60_000,
        plan.pace_ms,
        plan.site_page
    );
    for (who, plugin) in plan.plugins.iter().enumerate() {
        let _ = writeln!(text, "  plugin {who}: {plugin:?}");
    }
    for (at, fault) in &plan.faults {
        let _ = writeln!(
            text,
            "  at {:>3}:{:02}.{:03}: {fault}",
            at / 60_000,
            at / 1000 % 60,
            at % 1000
        );
    }
    let _ = writeln!(text, "  the last that happened:");
    text.push_str(&world.story.text());
    let _ = write!(text, "  WRONG: {}", outcome.wrong.unwrap_or_default());
    text
}
