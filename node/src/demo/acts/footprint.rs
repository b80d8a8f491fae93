//! What the three nodes cost.

use crate::demo::Cities;
use crate::demo::stage::Stage;

pub fn play(stage: &mut Stage, cities: &mut Cities) {
    let step = stage.step("What the three nodes cost in memory");
    let mut total = 0;
    for city in cities.all() {
        let bytes = city.resident_bytes();
        total += bytes;
        stage.saw(format!("{:<22} {:>5.1} MB", city.id(), bytes as f64 / 1e6));
    }
    stage.check(&step, total > 0 && total <= 150_000_000, format!("{:.1} MB for all three", total as f64 / 1e6));
}
