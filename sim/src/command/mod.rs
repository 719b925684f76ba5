//! The command line: one run, many, what they covered, and a failure made small.

mod coverage;
mod determinism;
mod failure;
mod mutants;
mod regressions;
mod run;
mod shrink;
mod sweep;

use std::path::PathBuf;
use std::str::FromStr;

use clap::Subcommand;

use crate::plan::brokers::Brokers;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one seed, or one plan.
    Run {
        /// The seed that the plan is drawn from.
        #[arg(long, required_unless_present = "plan")]
        seed: Option<u64>,
        /// How many brokers the plan has: 1, 3, 5 or mixed.
        #[arg(long, value_name = "N", default_value = "1")]
        brokers: Brokers,
        /// A plan in a file, as `shrink` writes it.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Tell what happens while it happens.
        #[arg(long)]
        trace: bool,
        /// Print the plan and do nothing.
        #[arg(long)]
        show_plan: bool,
    },
    /// Run many seeds.
    Sweep {
        /// Which: from the first up to, but not with, the second.
        #[arg(long, value_name = "A..B")]
        seeds: Seeds,
        /// How many brokers plans have: 1, 3, 5 or mixed.
        #[arg(long, value_name = "N", default_value = "1")]
        brokers: Brokers,
        /// How many at once [default: as many as there are processors].
        #[arg(long)]
        jobs: Option<usize>,
        /// Run every so manieth seed a second time, and compare.
        #[arg(long, value_name = "N", default_value_t = 100)]
        twice_every: u64,
        /// Go on after a claim broke.
        #[arg(long)]
        keep_going: bool,
    },
    /// Make the plan of a failing seed as small as it can be while the same claim breaks.
    Shrink {
        /// The seed.
        #[arg(long, required_unless_present = "plan")]
        seed: Option<u64>,
        /// How many brokers the plan has: 1, 3, 5 or mixed.
        #[arg(long, value_name = "N", default_value = "1")]
        brokers: Brokers,
        /// Or a plan in a file.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Where to write what is left; to the standard output if not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Run seeds in two processes, and compare the hash of each seed's story.
    Determinism {
        /// Which seeds.
        #[arg(long, value_name = "A..B")]
        seeds: Seeds,
        /// How many brokers plans have: 1, 3, 5 or mixed.
        #[arg(long, value_name = "N", default_value = "1")]
        brokers: Brokers,
    },
    /// Print the hash of each seed's story.
    #[command(hide = true)]
    Hashes {
        /// Which seeds.
        #[arg(long, value_name = "A..B")]
        seeds: Seeds,
        /// How many brokers plans have: 1, 3, 5 or mixed.
        #[arg(long, value_name = "N", default_value = "1")]
        brokers: Brokers,
    },
    /// Run the plans that bugs were found with.
    Regressions,
    /// Run many seeds and tell what happened in them, and what never did.
    Coverage {
        /// Which seeds.
        #[arg(long, value_name = "A..B")]
        seeds: Seeds,
        /// How many brokers plans have: 1, 3, 5 or mixed.
        #[arg(long, value_name = "N", default_value = "1")]
        brokers: Brokers,
        /// How many at once [default: as many as there are processors].
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Plant bugs of history in a copy of the sources, play transcripts, and run seeds until a claim sees each.
    ///
    /// Each patch in sim/mutants plants one, and names the claims and transcripts that are meant to see it. The answer is a
    /// table; a bug that none of them sees is a failure.
    Mutants(mutants::Mutants),
}

/// Seeds in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub std::ops::Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let wrong = || format!("'{text}' is no range of seeds: write it as 0..1000");
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let (from, to) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
        if from < to { Ok(Seeds(from..to)) } else { Err(wrong()) }
    }
}

impl Command {
    /// Does it. `Ok(false)`: a claim broke. The error is for a person: the command made no sense.
    pub fn run(self) -> Result<bool, String> {
        crate::panics::keep_quiet();
        match self {
            Command::Run { seed, brokers, plan, trace, show_plan } => {
                run::run(run::plan_of(seed.map(|seed| (seed, brokers)), plan.as_deref())?, trace, show_plan)
            }
            Command::Sweep { seeds, brokers, jobs, twice_every, keep_going } => {
                let options = sweep::Options { brokers, jobs, twice_every, keep_going };
                Ok(sweep::sweep(&seeds.0, &options).is_good())
            }
            Command::Shrink { seed, brokers, plan, out } => shrink::command(
                run::plan_of(seed.map(|seed| (seed, brokers)), plan.as_deref())?,
                out.as_deref(),
            ),
            Command::Determinism { seeds, brokers } => determinism::compare(&seeds.0, brokers),
            Command::Hashes { seeds, brokers } => {
                determinism::print_hashes(&seeds.0, brokers);
                Ok(true)
            }
            Command::Regressions => regressions::run_all(),
            Command::Coverage { seeds, brokers, jobs } => {
                let options = sweep::Options { brokers, jobs, twice_every: u64::MAX, keep_going: true };
                let swept = sweep::sweep(&seeds.0, &options);
                print!("{}", swept.coverage());
                Ok(swept.is_good())
            }
            Command::Mutants(mutants) => mutants.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_written_as_a_range() {
        assert_eq!("3..7".parse(), Ok(Seeds(3..7)));
        for wrong in ["3", "7..3", "3..3", "a..b", "3..", "-1..4"] {
            assert!(wrong.parse::<Seeds>().unwrap_err().contains("0..1000"), "{wrong}");
        }
    }
}
