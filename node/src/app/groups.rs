//! The groups of the local sockets: the one of a role is called `havenlink-ROLE`, if the system knows such a group (9.13).
//!
//! A role without one is no fault: on a machine with one user nobody makes groups. But its socket is open to the node's own
//! group then, and that is said, in one line where no role has one, and for each role where some have.

use super::owner::Owner;
use crate::domain::audit::ActorRole;

/// What the socket of a role is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Own(u32),
    /// There is one, and this node is no member of it: it may give its socket to no such group.
    NotOurs,
    Missing,
}

/// Those of all roles that have a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    of: Vec<(ActorRole, Group)>,
    /// The name of the node's own group, which the other sockets are open to.
    own: String,
    user: String,
}

/// How it stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Each role has its group, or none has: the one is as it should be, the other as nobody has asked for more.
    pub fine: bool,
    pub finding: String,
    /// The commands that give those roles their groups that have none.
    pub remedy: String,
}

/// The name of a role in file names and groups.
pub fn spelled(role: ActorRole) -> String {
    role.name().to_ascii_lowercase().replace('_', "-")
}

fn name_of(role: ActorRole) -> String {
    format!("havenlink-{}", spelled(role))
}

fn known() -> String {
    std::fs::read_to_string("/etc/group").unwrap_or_default()
}

impl Groups {
    /// As the system has them now, for this process.
    pub fn of(roles: &[ActorRole]) -> Self {
        let ours: Vec<u32> = rustix::process::getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()).collect();
        let here = Owner::here();
        Self::read(roles, &known(), here, |gid, _| gid == here.gid || ours.contains(&gid) || here.is_root())
    }

    /// For a node that its owner starts, whoever asks.
    pub fn of_owner(roles: &[ActorRole], owner: Owner) -> Self {
        if owner == Owner::here() {
            return Self::of(roles);
        }
        let name = owner.name();
        let is_member = |members: &str| members.split(',').any(|member| member == name);
        Self::read(roles, &known(), owner, |gid, members| gid == owner.gid || is_member(members))
    }

    /// `groups`: lines as `/etc/group` has them; `may_give`: whether the node may give a file to a group, by its id and its members.
    fn read(roles: &[ActorRole], groups: &str, node: Owner, may_give: impl Fn(u32, &str) -> bool) -> Self {
        let line = |line: &str| {
            let mut fields = line.split(':').map(str::to_owned);
            Some((fields.next()?, fields.nth(1)?.parse::<u32>().ok()?, fields.next().unwrap_or_default()))
        };
        let known: Vec<(String, u32, String)> = groups.lines().filter_map(line).collect();
        let group = |role: &ActorRole| match known.iter().find(|(name, ..)| *name == name_of(*role)) {
            Some((_, gid, members)) if may_give(*gid, members) => Group::Own(*gid),
            Some(_) => Group::NotOurs,
            None => Group::Missing,
        };
        let of = roles.iter().map(|role| (*role, group(role))).collect();
        let named = known.iter().find(|(_, gid, _)| *gid == node.gid).map(|(name, ..)| name.clone());
        Self { of, own: named.unwrap_or_else(|| node.gid.to_string()), user: node.name() }
    }

    /// The id of the group that may open this role's socket; `None`: the node's own.
    pub fn id(&self, role: ActorRole) -> Option<u32> {
        self.of.iter().find_map(|(of, group)| match group {
            Group::Own(gid) if *of == role => Some(*gid),
            _ => None,
        })
    }

    fn none_exists(&self) -> bool {
        self.of.iter().all(|(_, group)| *group == Group::Missing)
    }

    /// Roles whose socket is not open to a group of their own.
    fn without(&self) -> impl Iterator<Item = (ActorRole, Group)> {
        self.of.iter().copied().filter(|(_, group)| !matches!(group, Group::Own(_)))
    }

    /// Says in the log which sockets are open to another group than the role's.
    pub fn tell(&self) {
        if self.none_exists() && !self.of.is_empty() {
            tracing::info!("no role has a group of its own: each socket is open to this node's group");
            return;
        }
        for (role, group) in self.without() {
            let role = role.name();
            match group {
                Group::NotOurs => {
                    tracing::warn!(
                        role,
                        "this node is not in the role's group: its socket is open to this node's group"
                    );
                }
                _ => tracing::warn!(role, "the role's group does not exist: its socket is open to this node's group"),
            }
        }
    }

    /// How it stands, for `check` and the doctor.
    pub fn standing(&self) -> Standing {
        let own = &self.own;
        let lacks: Vec<(ActorRole, Group)> = self.without().collect();
        if lacks.is_empty() {
            return Standing {
                fine: true,
                finding: "each is open to its role's group".to_owned(),
                remedy: String::new(),
            };
        }
        if self.none_exists() {
            let finding =
                format!("no role has a group of its own, such as {}: each is open to group {own}", name_of(lacks[0].0));
            return Standing { fine: true, finding, remedy: String::new() };
        }
        let each = lacks.iter().map(|(role, group)| match group {
            Group::NotOurs => format!("this node is not in group {}", name_of(*role)),
            _ => format!("there is no group {}", name_of(*role)),
        });
        let finding = format!("{}: open to group {own} instead", each.collect::<Vec<_>>().join(", "));
        let missing = lacks.iter().filter(|(_, group)| *group == Group::Missing);
        let made = missing.map(|(role, _)| format!("groupadd --system {}", name_of(*role)));
        let names: Vec<String> = lacks.iter().map(|(role, _)| name_of(*role)).collect();
        let joined = format!("usermod --append --groups {} {}", names.join(","), self.user);
        let remedy: Vec<String> = made.chain([joined, "systemctl restart havenlink".to_owned()]).collect();
        Standing { fine: false, finding, remedy: remedy.join(" && ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: &[ActorRole] = &[ActorRole::Operator, ActorRole::Publisher, ActorRole::DataProtection];
    const ALL: &str = "root:x:0:\nhavenlink:x:7:\nhavenlink-operator:x:8:havenlink\nhavenlink-publisher:x:9:\n\
                       havenlink-data-protection:x:10:havenlink,other\n";

    fn read(groups: &str, ours: &[u32]) -> Groups {
        Groups::read(ROLES, groups, Owner { uid: 0, gid: 7 }, |gid, _| ours.contains(&gid))
    }

    #[test]
    fn each_role_has_its_own_group_where_the_node_is_in_all_of_them() {
        let groups = read(ALL, &[8, 9, 10]);
        assert_eq!(ROLES.iter().map(|role| groups.id(*role)).collect::<Vec<_>>(), [Some(8), Some(9), Some(10)]);
        let standing = groups.standing();
        assert!(standing.fine && standing.remedy.is_empty(), "{standing:?}");
    }

    #[test]
    fn a_group_that_does_not_exist_or_is_not_the_nodes_is_said_with_the_commands_that_help() {
        let groups = read(&ALL.replace("havenlink-publisher", "havenlink-publishers"), &[8]);
        assert_eq!(ROLES.iter().map(|role| groups.id(*role)).collect::<Vec<_>>(), [Some(8), None, None]);
        let Standing { fine, finding, remedy } = groups.standing();
        assert!(!fine && finding.contains("no group havenlink-publisher,"), "{finding}");
        assert!(finding.contains("not in group havenlink-data-protection"), "{finding}");
        assert!(finding.ends_with("open to group havenlink instead"), "{finding}");
        assert!(remedy.starts_with("groupadd --system havenlink-publisher && usermod --append --groups"), "{remedy}");
        assert!(remedy.contains("havenlink-publisher,havenlink-data-protection "), "{remedy}");
    }

    #[test]
    fn who_may_give_is_read_by_its_members_too() {
        let groups = Groups::read(ROLES, ALL, Owner { uid: 0, gid: 7 }, |_, members| members == "havenlink");
        assert_eq!(ROLES.iter().map(|role| groups.id(*role)).collect::<Vec<_>>(), [Some(8), None, None]);
    }

    #[test]
    fn on_a_machine_without_such_groups_one_sentence_says_so_and_nothing_is_wrong() {
        for groups in ["", "root:x:0:\nhavenlink:x:7:\n", "no line of groups\n:::\n"] {
            let Standing { fine, finding, remedy } = read(groups, &[]).standing();
            assert!(fine && remedy.is_empty() && finding.contains("no role has a group of its own"), "{finding}");
        }
        assert!(read("havenlink:x:7:\n", &[]).standing().finding.ends_with("open to group havenlink"));
        assert!(read("", &[]).standing().finding.ends_with("open to group 7"), "one that has no name here");
    }
}
