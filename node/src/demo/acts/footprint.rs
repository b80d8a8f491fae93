//! What the three nodes cost.

use crate::demo::Cities;
use crate::demo::stage::Stage;

/// What is promised of a release build.
const PROMISED: u64 = 150_000_000;

/// Of another build most of what is resident is the program itself: what it holds besides is judged, and is half of it at most.
const RELEASED: bool = !cfg!(debug_assertions);

pub fn play(stage: &mut Stage, cities: &mut Cities) {
    let step = stage.step("What the three nodes cost in memory");
    let (mut resident, mut held) = (0, 0);
    for city in cities.all() {
        let (all, without_program) = city.resident_bytes();
        (resident, held) = (resident + all, held + without_program);
        stage.saw(format!("{:<22} {:>5.1} MB", city.id(), megabytes(all)));
    }
    let kept = if RELEASED { resident <= PROMISED } else { held <= PROMISED / 2 };
    let besides = format!(", {:.1} MB without the program, which is no release build", megabytes(held));
    let besides = if RELEASED { String::new() } else { besides };
    stage.check(&step, resident > 0 && kept, format!("{:.1} MB for all three{besides}", megabytes(resident)));
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
