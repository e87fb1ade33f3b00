"""Common given names and surnames, to tell columns of people's names from other capitalized texts.

Frequent names of many countries, without accents. Names that are also usual words, places or brands are left out:
Austin, Charlotte, Florence, Grace, Iris, Jordan, Mark, Paris, Rose, Victoria.
"""

_GIVEN_NAME = """
aaron abdul abdullah abigail adam adele adrian agnes agnieszka ahmed aisha alan albert alberto alejandra alejandro
aleksandra alessandro alex alexander alexandra alexandre alfred ali alice alina amal amelia amina amir amit amy ana
anders andre andrea andreas andrei andrew andrzej angela anita anja anjali ann anna anne annika anthony anton antonio
arjun arthur arun ashley astrid barbara bartosz beatriz benjamin bernd bernhard bettina bianca birgit bjorn bob boris
brandon brian brigitte bruno camila camille carl carla carlos carmen carol carolina caroline carolyn caterina
catherine cecilia charles chiara chloe chris christian christina christine christopher claire clara claudia cynthia
daniel daniela danielle david deborah deepak dennis derek dev diego dieter dirk dmitri dmitry dominik donald donna
dorothy edward eduardo ekaterina elena elif elisa elisabeth elizabeth elke emily emma emre enrique eric erik erika
ernesto esther eva evelyn fabian fabio farah fatima fatma federico felipe felix fernanda fernando fiona francesca
francesco francisco francois frank franz frederik friedrich gabriel gabriela gary george georg gerhard gertrud
giovanni giulia giuseppe gloria greta guillaume gunter gustavo hana hannah hans harald harry hassan heather hector
heidi heike heinz helen helena helga henrik henry hiroshi holger hugo hussein ibrahim igor ines ingrid irina irene
isabel isabella ismail ivan jacek jacob jacqueline jakob jakub james jamila jan jana jane janet jason javier jean
jeffrey jens jennifer jessica jesus jiri joachim joan joana joao joe johan johann johanna john jonas jonathan jorge
jose josef joseph joshua juan juana judith julia julian julie jurgen justin kamil karen karin karl karolina katarina
katarzyna kate katharina katherine kathleen katja kavita keith kelly kenji kenneth kerstin kevin khadija khalid klaus
krzysztof kumar kwame laila lars laura lauren laurent layla lena leon leonardo leonie leila lidia linda lisa lorenzo
louis louise luca lucas lucia lucie luis luisa lukas magdalena mahmoud malgorzata manfred manuel manuela marc marcel
marcin marco marcus margaret maria mariam marie marina mario marion marko markus marta martha martin martina mary
maryam mateo mathias matthew matthias maurice maximilian megan mehmet melanie melissa mia michael michal michel
michele michelle miguel mikael mikhail milan miriam mohamed mohammad mohammed mona monika moritz muhammad mustafa
nadia nancy naoko natalia natalie natasha nathan neha nicholas nicola nicolas nicole niklas nikolai nina noah noor
olaf oleg olga oliver olivia omar oscar otto pablo paola patricia patrick paul paula paulo pavel pedro peter petra
philip philipp philippe pierre piotr priya rachel rafael rahul rajesh ralf ramon raphael raquel raul ravi raymond
rebecca renate ricardo riccardo richard robert roberto roger roland rolf roman ronald rosa ruben rudolf ruth ryan
sabine sabrina said salma samantha samir samuel sandra sanjay sara sarah scott sebastian sergei sergey sergio sharon
shreya silke silvia simon simone sofia sonja sophia sophie stefan stefanie stefano stephanie stephen steven sunita
susan susanne suresh svetlana sven sylvia takashi tamara tanja tatiana teresa theodor theresa thomas tim timothy
tobias tom tomas tomasz torsten tyler ulrich ulrike ursula uwe valentina valeria vanessa vera veronica vijay vikram
vincent viktor vladimir walter wei werner wilhelm william wolfgang xavier yasmin yasmine yolanda youssef yuki yusuf
yvonne zainab zeynep
"""

_SURNAME = """
ahmad ahmadi alvarez andersen anderson andersson bakker bauer becker bernard bianchi brown chaudhary chen costa dubois
dupont fernandes fernandez ferrari fischer garcia gomez gonzalez hansen hernandez hoffmann horvat huang hughes ivanov
ivanova jansen jensen jimenez johansson johnson jones kaya keller khan kim klein kovac kowalski kruger larsen lefebvre
lehmann lopez maier martinez mbeki mehta meier meyer miller moreau morales muller murphy nakamura nguyen nielsen novak
nowak okafor olsen oliveira patel pereira perez petersen petrov popescu ramirez reyes richter rodrigues rodriguez
rossi ruiz sanchez santos sato schmidt schmitz schneider schroder schulz schwarz sharma silva singh smith sorensen
souza suzuki svensson tanaka taylor thompson torres tran vasquez wagner wang watanabe weber williams wilson wisniewski
wozniak yamamoto yilmaz zhang zhao zimmermann
"""

GIVEN_NAMES, SURNAMES = frozenset(_GIVEN_NAME.split()), frozenset(_SURNAME.split())
